"""Ask for replays: what is wanted is checked, planned by the worker, and run once somebody confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from obverse.core import spans, times
from obverse.core.replays import FLOWS, Report, Wanted
from obverse.ports.replays import NotOpen, Replay, Replays, ReplayStage
from obverse.ports.runtime import Runtime

ALL: Final = "all"
TARGETS: Final = (*FLOWS, ALL)
_LONGEST_NAME: Final = 100
_WHEN: Final = f"a time such as 2026-03-01T12:00:00Z, or {spans.EXPECTED}, for as long ago"


class BadReplay(ValueError):
    """What was asked for cannot be sent again; the message says why, and what to do."""


class NoSuchReplay(LookupError):
    """There is no replay of this id; the message says so, and where they are listed."""


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as it is told. Times are in ISO 8601."""

    id: int
    to: Sequence[str]
    connection: str | None
    campaign: str | None
    since: str | None
    until: str | None
    partition: int | None
    from_: int | None = msgspec.field(name="from")
    before: int | None
    by: str
    asked_at: str
    state: str
    done: int
    plan: Report | None
    confirmed_by: str | None
    result: Report | None
    reason: str | None
    settled_at: str | None


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks for, in their words."""

    to: str
    connection: str | None = None
    campaign: str | None = None
    since: str | None = None
    """A time, or how long ago."""
    until: str | None = None
    partition: int | None = None
    from_: int | None = msgspec.field(name="from", default=None)
    before: int | None = None


def wanted_of(request: ReplayRequest, now: int) -> Wanted:
    """
    Return what is meant; `now` is in microseconds since 1970.

    Raises:
        BadReplay: it contradicts itself, or a time is none.
    """
    if request.to not in TARGETS:
        raise BadReplay(f"to is {request.to!r}: name one of {', '.join(TARGETS)}")
    flows = FLOWS if request.to == ALL else tuple(one for one in FLOWS if one == request.to)
    if request.connection is not None and "activate" not in flows:
        raise BadReplay(f"a connection is of activate, and not of {request.to}: leave it out, or replay to activate")
    if request.campaign is not None and "deliver" not in flows:
        raise BadReplay(f"a campaign is of deliver, and not of {request.to}: leave it out, or replay to deliver")
    for what, name in (("connection", request.connection), ("campaign", request.campaign)):
        if name is not None and not (name.isprintable() and 0 < len(name) <= _LONGEST_NAME):
            raise BadReplay(f"{what} is {name[:_LONGEST_NAME]!r}, which can name none: give the name of its definition")
    since, until = _instant("since", request.since, now), _instant("until", request.until, now)
    if since is not None and since > now:
        raise BadReplay(f"since is {times.to_text(since)}, which is to come: it is {times.to_text(now)}")
    if since is not None and until is not None and since > until:
        raise BadReplay(f"since {times.to_text(since)} is after until {times.to_text(until)}: change them round")
    _check_offsets(request, len(flows))
    return Wanted(
        flows=tuple(flows),
        connection=request.connection,
        campaign=request.campaign,
        since=since,
        until=until,
        partition=request.partition,
        first=request.from_,
        before=request.before,
    )


def _check_offsets(request: ReplayRequest, flows: int) -> None:
    if request.partition is None:
        if request.from_ is not None or request.before is not None:
            raise BadReplay("from and before are offsets in one partition: name it with partition")
        return
    if request.since is not None or request.until is not None:
        raise BadReplay(
            "since and until are times, partition, from and before are offsets: give the ones or the others"
        )
    if flows > 1:
        raise BadReplay(
            f"offsets are of one stream, of the events for unify and of the changes for activate and deliver: name one "
            f"of {', '.join(FLOWS)} as to, or give times"
        )


def _instant(name: str, text: str | None, now: int) -> int | None:
    if text is None:
        return None
    span = spans.parse(text)
    instant = times.parse(text) if span is None else now - span
    if instant is None:
        raise BadReplay(f"{name} is {text!r}, which is no time: give {_WHEN}")
    return instant


class AskReplay:
    """Asks for replays, confirms and cancels them. Who does it is the worker."""

    def __init__(self, replays: Replays, runtime: Runtime) -> None:
        self._replays = replays
        self._runtime = runtime

    async def ask(self, request: ReplayRequest, *, by: str) -> int:
        """
        Have a replay planned; return its id.

        Raises:
            BadReplay: as `wanted_of`.
            Unreachable: the ledger cannot be written. So do all below.
        """
        now = self._runtime.now()
        return await self._replays.ask(wanted_of(request, now), by=by, at=now)

    async def find(self, id_: int) -> Replay:
        """
        Return a replay.

        Raises:
            NoSuchReplay: there is none of this id. So do the two below.
        """
        return _known(id_, await self._replays.find(id_))

    async def page(self, *, limit: int, before: int | None = None) -> Sequence[Replay]:
        """Return replays, the latest first, those with smaller ids than `before`."""
        return await self._replays.page(limit=limit, before=before)

    async def confirm(self, id_: int, *, by: str) -> Replay:
        """
        Have a replay run that is planned; return it as it is then.

        Raises:
            BadReplay: it is not planned.
        """
        try:
            return _known(id_, await self._replays.confirm(id_, by=by))
        except NotOpen as error:
            raise BadReplay(f"replay {id_} cannot be run: {error}; only one that is planned can") from error

    async def cancel(self, id_: int) -> Replay:
        """
        Have a replay go no further; return it as it is then.

        Raises:
            BadReplay: it has ended.
        """
        try:
            return _known(id_, await self._replays.cancel(id_, at=self._runtime.now()))
        except NotOpen as error:
            raise BadReplay(f"replay {id_} cannot be cancelled: {error}") from error


def _known(id_: int, found: Replay | None) -> Replay:
    if found is None:
        raise NoSuchReplay(f"there is no replay {id_}; `obverse replay --list` tells which there are")
    return found


def view(one: Replay) -> ReplayView:
    """How a replay is told."""
    wanted = one.wanted
    return ReplayView(
        id=one.id,
        to=wanted.flows,
        connection=wanted.connection,
        campaign=wanted.campaign,
        since=_text(wanted.since),
        until=_text(wanted.until),
        partition=wanted.partition,
        from_=wanted.first,
        before=wanted.before,
        by=one.by,
        asked_at=times.to_text(one.asked_at),
        state=one.state.value,
        done=one.done,
        plan=one.plan,
        confirmed_by=one.confirmed_by,
        result=one.result,
        reason=one.reason,
        settled_at=_text(one.settled_at),
    )


def _text(at: int | None) -> str | None:
    return None if at is None else times.to_text(at)


ENDED: Final = frozenset({ReplayStage.DONE, ReplayStage.REFUSED, ReplayStage.CANCELLED})
"""From these a replay goes nowhere."""
