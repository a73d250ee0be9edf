"""The fold: what one event does to the profile it belongs to."""

from __future__ import annotations

import msgspec

from obverse.core import changes
from obverse.core.audiences import Audience
from obverse.core.changes import Change
from obverse.core.crdt import register
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Write
from obverse.core.definitions import Definitions, Plan
from obverse.core.events import Event
from obverse.core.profiles.parts import OUTSIDE, Membership
from obverse.core.profiles.profile import Profile
from obverse.core.profiles.window import LEAST, message_key, recent


def apply(
    profile: Profile, event: Event, stamp: Stamp, place: tuple[int, int], definitions: Definitions
) -> list[Change] | None:
    """
    Fold one event into the profile it belongs to, and say what it changed.

    Changes the profile in place. Returns None, having changed nothing but the version, if the profile has
    seen the message id before. `stamp` is the event's; `place` is its (partition, offset).
    """
    partition, offset = place
    if offset > profile.version.get(partition, -1):
        profile.version[partition] = offset
    key, seen, received_at = message_key(event), profile.seen, event.received_at
    if key in seen:
        return None
    seen[key] = received_at // 1_000_000
    if len(seen) > 2 * LEAST and len(seen) % LEAST == 0:
        profile.seen = recent(seen)
    if profile.first is None or stamp < profile.first:
        profile.first = stamp
    if received_at > profile.changed_at:  # noqa: PLR1730 - a call of max costs more, and this is done for each event
        profile.changed_at = received_at
    profile.events += 1

    moved: list[tuple[str, str]] = []
    if event.type == "identify":
        _tell(profile, event, stamp, moved)
    plan = definitions.plan(event)
    if plan.moves:
        _compute(profile, event, stamp, plan, moved)
    if not moved and profile.events > 1:
        return []
    one, message_id = profile.id, event.message_id
    done = [Change(one, kind, name, message_id) for kind, name in moved]
    _judge_watching(profile, moved, stamp, definitions, done)
    return done


def _judge_watching(
    profile: Profile, moved: list[tuple[str, str]], stamp: Stamp, definitions: Definitions, done: list[Change]
) -> None:
    """Judge the audiences that look at what moved."""
    watchers = definitions.watchers
    watching: dict[str, Audience] = {}
    for subject in moved:
        for one in watchers.get(subject, ()):
            watching[one.name] = one
    if profile.events == 1:
        watching.update({one.name: one for one in definitions.newcomers})
    for audience in watching.values():
        change = judge(profile, audience, stamp, definitions)
        if change is not None:
            done.append(change)


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _tell(profile: Profile, event: Event, stamp: Stamp, moved: list[tuple[str, str]]) -> None:
    """Write the attributes that an identify tells."""
    for name, raw in _fields.decode(event.properties).items():
        before = profile.attributes.get(name)
        after = register.write(before, Write(stamp, bytes(raw)))
        profile.attributes[name] = after
        if before is None or before[0].value != after[0].value:
            moved.append((changes.ATTRIBUTE, name))
        profile.known_moved = True


def _compute(profile: Profile, event: Event, stamp: Stamp, plan: Plan, moved: list[tuple[str, str]]) -> None:
    """Move the traits that this event moves."""
    values = plan.values(event)
    states = profile.traits
    for trait, place in plan.moves:
        kind, key, value = trait.kind, trait.key, values[place]
        if value is None and kind.takes_value:
            continue
        old = states.get(key)
        # Without a state there is no value yet, whatever an empty state reads as.
        before = kind.read(old) if old is not None and kind.in_place else None
        new = kind.add(kind.start() if old is None else old, value, stamp)
        if new is None or (new is old and not kind.in_place):
            continue
        states[key] = new
        if kind.plain:
            if new != old:
                moved.append((changes.TRAIT, trait.name))
            continue
        if old is not None and not kind.in_place:
            before = kind.read(old)
        if kind.read(new) != before:
            moved.append((changes.TRAIT, trait.name))


def judge(profile: Profile, audience: Audience, stamp: Stamp, definitions: Definitions) -> Change | None:
    """Let the profile enter or leave an audience, if its condition says so now."""
    standing = profile.audiences.get(audience.name, OUTSIDE)
    member = definitions.holds[audience.name](profile)
    if member == standing.member:
        return None
    number = standing.number + member
    profile.standing_moved = True
    profile.audiences[audience.name] = Membership(member, number, stamp.time)
    return Change(profile.id, changes.ENTERED if member else changes.LEFT, audience.name, stamp.message_id, number)
