"""Replays in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from obverse.core import times
from obverse.core.replays import ActivateReport, DeliverReport, Report, Span, UnifyReport
from obverse.ports.replays import Replay

_SHOWN = 10
"""Names of one list."""


def in_words(report: Report, *, done: bool) -> str:
    """Tell what a replay would do, or has done; lines, each with its end."""
    lines: list[str] = []
    if report.unify is not None:
        lines += _unify(report.unify, done=done)
    if report.activate is not None:
        lines += _activate(report.activate)
    if report.deliver is not None:
        lines += _deliver(report.deliver, done=done)
    return "".join(f"{line}\n" for line in lines)


def _unify(told: UnifyReport, *, done: bool) -> Iterator[str]:
    yield f"unify: {_count(told.people, 'person', 'people')}"
    if told.looked_at < told.people:
        yield f"  {told.looked_at:,} of them were looked at, taken at random; what follows is of these"
    mended = "were mended" if done else "would be mended"
    yield f"  {told.changed:,} {mended}{_named('traits', told.traits)}{_named('attributes', told.attributes)}"
    for what, counts in (("enter", told.entered), ("leave", told.left)):
        if counts:
            yield f"    and {what}{'' if done else ' then'}{_named('audiences', counts)}"
    if told.others:
        yield f"    {told.others:,} of these only in what nobody reads as a value"
    if told.changed and not done:
        yield "    what is mended goes on to connections and campaigns, as any change does"
    if told.refused:
        some = ", ".join(told.refused_some)
        more = ", …" if told.refused > len(told.refused_some) else ""
        yield f"  {told.refused:,} left as they are, since not all of their events are kept: {some}{more}"


def _activate(told: ActivateReport) -> Iterator[str]:
    yield f"activate: {_span(told.span)}"
    if not told.connections:
        yield "  no connection is defined"
    for name, one in told.connections.items():
        if one.woken:
            yield f"  {name}: {_count(one.woken, 'person', 'people')} compared again; what differs is written"
            continue
        parts = [f"{one.create:,} created", f"{one.update:,} updated{_named('', one.fields)}"]
        parts.append(f"{one.unchanged:,} as they are")
        if one.without_address:
            parts.append(f"{one.without_address:,} without an address")
        yield f"  {name}: {', '.join(parts)}"


def _deliver(told: DeliverReport, *, done: bool) -> Iterator[str]:
    yield f"deliver: {_span(told.span)}"
    if not told.campaigns:
        yield "  no campaign is defined"
    for name, one in told.campaigns.items():
        parts = [f"{_count(one.send, 'message', 'messages')} {'put in the outbox' if done else 'would be sent'}"]
        if one.already:
            parts.append("there already: " + ", ".join(f"{count:,} {status}" for status, count in one.already.items()))
        if one.over:
            parts.append(f"{_count(one.over, 'entry', 'entries')} true no more")
        yield f"  {name}: {'; '.join(parts)}"


def _span(span: Span) -> str:
    if not span.count:
        return "no changes"
    return f"{_count(span.count, 'change', 'changes')}, from {span.first} to before {span.before}"


def _named(what: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:_SHOWN]]
    more = [f"and {len(counts) - _SHOWN} more"] if len(counts) > _SHOWN else []
    return f" ({what + ': ' if what else ''}{', '.join([*shown, *more])})"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def line(one: Replay) -> str:
    """A replay in one line of a list."""
    wanted = one.wanted
    part = [
        f"{name} {value}" for name, value in (("connection", wanted.connection), ("campaign", wanted.campaign)) if value
    ]
    if wanted.since is not None:
        part.append(f"since {times.to_text(wanted.since)}")
    if wanted.until is not None:
        part.append(f"until {times.to_text(wanted.until)}")
    if wanted.partition is not None:
        part.append(f"partition {wanted.partition} from {wanted.first or 0} before {wanted.before or 'the end'}")
    asked = f"{times.to_text(one.asked_at)} by {one.by}"
    why = f": {one.reason}" if one.reason else ""
    return f"{one.id}  {one.state}  to {', '.join(wanted.flows)}  {', '.join(part) or 'the whole log'}  {asked}{why}"
