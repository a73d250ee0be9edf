"""Mirror: people and groups as Segment's Profile API tells of them. Reads through `Serve` and `Browse` alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from obverse.core import times
from obverse.core.crdt.clock import Stamp
from obverse.core.identity import id_name, id_text
from obverse.flows.browse import Browse, GroupMemberView
from obverse.flows.cursors import BadCursor
from obverse.flows.mirror_views import (
    SpaceCursor,
    SpaceEvent,
    SpaceEventId,
    SpaceEvents,
    SpaceExternalId,
    SpaceExternalIds,
    SpaceFacts,
    SpaceLink,
    SpaceLinks,
    SpaceMetadata,
    SpaceRelated,
    SpaceTrait,
    SpaceTraits,
)
from obverse.flows.serve import Serve
from obverse.flows.views import AttributeView, EventView, ProfileView
from obverse.ports.runtime import Runtime

USERS: Final = "users"
ACCOUNTS: Final = "accounts"
GROUP_ID: Final = "group_id"
OURS: Final = "obverse"
"""The source of what nobody sent, since it is computed here."""

KEPT: Final = 14 * 24 * 3600 * 1_000_000
"""Microseconds for which events are told."""
MOST_LOOKED_AT: Final = 1000
"""Events that one request looks at; who seeks few among many gets a shorter page, and goes on."""
_AT_ONCE: Final = 100
_UNEVEN: Final = 24 * 3600 * 1_000_000
"""Microseconds by which events may lie in another order than they arrived in: partitions are read apart."""
_LARGEST: Final = 2**63 - 1
_DIGITS: Final = len(str(_LARGEST))

Class = Literal["audience", "computed_trait"]
_One = TypeVar("_One")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which part of a list is asked for."""

    url: str
    limit: int
    next: str = ""
    """Of the answer before; empty for the beginning."""
    include: Collection[str] | None = None
    """Names or kinds; None: all."""

    def cursor(self, following: str) -> SpaceCursor:
        """What tells where the page that follows begins; empty at the end."""
        return SpaceCursor(self.url, bool(following), following, self.limit)

    def page(self, ordered: Iterable[_One], name: Callable[[_One], str]) -> tuple[list[_One], SpaceCursor]:
        """
        Those of a list that belong on the page.

        It begins with the first name that is not before `next`, so what comes or goes elsewhere moves nothing.
        """
        left = [one for one in ordered if name(one) >= self.next]
        return left[: self.limit], self.cursor(name(left[self.limit]) if len(left) > self.limit else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which events are asked for."""

    exclude: Collection[str] = ()
    start: int = times.EARLIEST
    """Microseconds since 1970, as all times."""
    end: int = times.LATEST
    """The first instant that is not asked for."""


class Mirror:
    """
    Reads one workspace.

    What is read is as fresh, and fails as it does, where it comes from: users from `Serve`, accounts from `Browse`.
    None is answered for a user whom nobody knows.
    """

    def __init__(self, serve: Serve, browse: Browse, runtime: Runtime) -> None:
        self._serve = serve
        self._browse = browse
        self._runtime = runtime

    async def user_traits(
        self, identifier: str, asked: Asked, *, only: Class | None, verbose: bool
    ) -> SpaceTraits | None:
        """Return what is known of a user: attributes, computed traits, and true for each audience they are in."""
        found = await self._serve.find(identifier)
        return None if found is None else _traits(_of_user(found.view, only), asked, verbose=verbose)

    async def account_traits(self, group: str, asked: Asked, *, only: Class | None, verbose: bool) -> SpaceTraits:
        """
        Return the attributes of an account. Nothing is computed of accounts, and they are in no audience.

        Raises:
            BadGroup, NoSuchGroup: as `Browse.group`. So do all of accounts.
        """
        told = (await self._browse.group(group)).attributes
        return _traits({} if only else _told(told), asked, verbose=verbose)

    async def user_ids(self, identifier: str, asked: Asked) -> SpaceExternalIds | None:
        """Return the identifiers of a user."""
        found = await self._serve.find(identifier)
        if found is None:
            return None
        wanted = [one for one in found.view.identifiers if asked.include is None or one.kind in asked.include]
        ordered = sorted(wanted, key=lambda one: f"{one.kind}:{one.value}")
        shown, cursor = asked.page(ordered, lambda one: f"{one.kind}:{one.value}")
        return SpaceExternalIds(
            [SpaceExternalId(None, USERS, one.value, one.kind, one.first_seen, one.event) for one in shown], cursor
        )

    async def account_ids(self, group: str, asked: Asked) -> SpaceExternalIds:
        """Return the one identifier of an account."""
        one = await self._browse.known_group(group)
        source, at, event = _beginning(one.first)
        own = SpaceExternalId(source, ACCOUNTS, one.id, GROUP_ID, at or times.to_text(one.changed_at), event or "")
        wanted = [own] if asked.include is None or GROUP_ID in asked.include else []
        return SpaceExternalIds(*asked.page(wanted, lambda one: f"{one.type}:{one.id}"))

    async def user_events(self, identifier: str, asked: Asked, sought: Sought) -> SpaceEvents | None:
        """
        Return events of the last 14 days, the latest first, as of the last checkpoint.

        Raises:
            BadCursor: `next` is none that an answer before has given.
        """
        found = await self._serve.read(identifier)
        if found is None:
            return None
        profile = found[0].id
        before, since = _place(asked.next), max(self._runtime.now() - KEPT, sought.start)
        shown: list[SpaceEvent] = []
        looked, following = 0, ""
        while not following:
            page = await self._serve.events(id_name(profile), limit=_AT_ONCE, before=before)
            events = [] if page is None else page.events
            for one in events:
                if _is_sought(one, asked, sought, since):
                    if len(shown) == asked.limit:
                        following = str(before)
                        break
                    shown.append(_event(one, id_text(profile)))
                before = one.id
            looked += len(events)
            if page is None or page.next is None or _instant(events[-1].received_at) < since - _UNEVEN:
                break
            if looked >= MOST_LOOKED_AT:
                following = str(before)
        return SpaceEvents(shown, asked.cursor(following))

    async def user_metadata(self, identifier: str) -> SpaceMetadata | None:
        """Return when a user was first and last heard of."""
        found = await self._serve.read(identifier)
        if found is None:
            return None
        profile = found[0]
        latest = await self._serve.events(id_name(profile.id), limit=1)
        last = latest.events[0] if latest and latest.events else None
        return _metadata(profile.first, profile.changed_at, None if last is None else (last.source, last.message_id))

    async def account_metadata(self, group: str) -> SpaceMetadata:
        """Return when an account was first heard of, and which event told something of it last."""
        one = await self._browse.known_group(group)
        stamps = [write.stamp for written in one.attributes.values() for write in written]
        last = max(stamps, default=one.first)
        return _metadata(one.first, one.changed_at, None if last is None else (last.source, last.message_id))

    async def user_links(self, identifier: str, asked: Asked) -> SpaceLinks | None:
        """Return the accounts of a user."""
        found = await self._serve.find(identifier)
        if found is None:
            return None
        shown, cursor = asked.page(found.view.groups, lambda one: one.id)
        links = [[SpaceExternalId(None, ACCOUNTS, one.id, GROUP_ID, one.since, one.event)] for one in shown]
        return SpaceLinks([SpaceLink(ACCOUNTS, ids) for ids in links], cursor)

    async def account_links(self, group: str, asked: Asked) -> SpaceLinks:
        """
        Return the users of an account, as of the last checkpoint.

        Raises:
            BadCursor: as `user_events`.
        """
        found = await self._browse.group_members(group, limit=asked.limit, after=asked.next or None)
        return SpaceLinks([_member(one) for one in found.members], asked.cursor(found.next or ""))


def _of_user(profile: ProfileView, only: Class | None) -> dict[str, SpaceTrait]:
    """By name. Of one name what is computed here hides what was told."""
    known: dict[str, SpaceTrait] = {}
    if only is None:
        known |= _told(profile.attributes)
    if only != "audience":
        known |= {name: SpaceTrait(value, OURS, profile.changed_at) for name, value in profile.traits.items()}
    if only != "computed_trait":
        known |= {one.name: SpaceTrait(True, OURS, one.since) for one in profile.audiences}  # noqa: FBT003 - a value
    return known


def _told(attributes: Mapping[str, AttributeView]) -> dict[str, SpaceTrait]:
    return {name: SpaceTrait(one.value, one.source, one.updated_at) for name, one in attributes.items()}


def _traits(known: Mapping[str, SpaceTrait], asked: Asked, *, verbose: bool) -> SpaceTraits:
    wanted = sorted(name for name in known if asked.include is None or name in asked.include)
    shown, cursor = asked.page(wanted, str)
    traits: dict[str, Any] = {name: known[name] if verbose else known[name].value for name in shown}
    return SpaceTraits(traits, cursor)


def _event(one: EventView, profile: str) -> SpaceEvent:
    shown: Sequence[tuple[str, str | None]] = (("user_id", one.user_id), ("anonymous_id", one.anonymous_id))
    return SpaceEvent(
        external_ids=[SpaceEventId(USERS, kind, value) for kind, value in shown if value is not None],
        context=one.context,
        type=one.type,
        message_id=one.message_id,
        source_id=one.source,
        timestamp=one.timestamp,
        properties=one.properties,
        event=one.event_type,
        related=SpaceRelated(profile),
    )


def _member(one: GroupMemberView) -> SpaceLink:
    ids = [SpaceExternalId(None, USERS, shown.value, shown.kind, one.since, one.event) for shown in one.identifiers]
    return SpaceLink(USERS, ids)


def _beginning(first: Stamp | None) -> tuple[str | None, str | None, str | None]:
    """Source, time and message id of the earliest event; nothing while none is known."""
    return (None, None, None) if first is None else (first.source, times.to_text(first.time), first.message_id)


def _metadata(first: Stamp | None, changed_at: int, last: tuple[str, str] | None) -> SpaceMetadata:
    first_source, created_at, first_event = _beginning(first)
    last_source, last_event = last or (None, None)
    return SpaceMetadata(
        SpaceFacts(
            created_at=created_at,
            updated_at=times.to_text(changed_at),
            first_message_id=first_event,
            first_source_id=first_source,
            last_message_id=last_event,
            last_source_id=last_source,
        )
    )


def _is_sought(one: EventView, asked: Asked, sought: Sought, since: int) -> bool:
    if one.event_type in sought.exclude or (asked.include is not None and one.event_type not in asked.include):
        return False
    return since <= _instant(one.timestamp) < sought.end


def _instant(text: str) -> int:
    """An instant that a view has written."""
    return times.parse(text) or 0


def _place(following: str) -> int | None:
    """The event id before which a page begins."""
    if not following:
        return None
    if not (following.isascii() and following.isdigit()) or len(following) > _DIGITS or int(following) > _LARGEST:
        raise BadCursor(f"{following!r} is none: give one that an answer before has given")
    return int(following)
