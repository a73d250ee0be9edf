"""The fold: what one event does to the profile it belongs to."""

from __future__ import annotations

import msgspec

from obverse.core import changes
from obverse.core.audiences import Audience
from obverse.core.changes import ATTRIBUTE, CONSENT, GROUP, TRAIT, Change
from obverse.core.consents import Said, consents_of
from obverse.core.crdt import register
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Write
from obverse.core.definitions import NOTHING, Definitions, Plan
from obverse.core.events import Event
from obverse.core.groups import group_of
from obverse.core.profiles.merging import join
from obverse.core.profiles.parts import OUTSIDE, Membership, Sighting
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
    if not _is_new(profile, event, stamp, place):
        return None
    done: list[Change] = []
    watching: dict[str, Audience] = {}
    said = consents_of(event)
    if said:
        _allow(profile, event, stamp, said, done)
    plan = definitions.plan(event)
    if plan.tells:
        if event.type == "identify":
            _tell(profile, event, stamp, done)
        else:
            _join(profile, event, stamp, definitions, done)
    for change in done:
        _watch(definitions.watchers.get((change.kind, change.name), ()), watching)
    if plan.moves:
        _compute(profile, event, stamp, plan, done, watching)
    if profile.events == 1:
        _watch(definitions.newcomers, watching)
    for audience in watching.values():
        entered_or_left = judge(profile, audience, stamp, definitions, event.received_at)
        if entered_or_left is not None:
            done.append(entered_or_left)
    return done


def _is_new(profile: Profile, event: Event, stamp: Stamp, place: tuple[int, int]) -> bool:
    """Note that the event has come; False if it had come before."""
    partition, offset = place
    if offset > profile.version.get(partition, -1):
        profile.version[partition] = offset
    key, seen, received_at = message_key(event), profile.seen, event.received_at
    if key in seen:
        return False
    seen[key] = received_at // 1_000_000
    count = len(seen)
    if count > LEAST and count & (count - 1) == 0:  # at each doubling, for it looks at all of them
        profile.seen = recent(seen)
    if profile.first is None or stamp < profile.first:
        profile.first = stamp
    if received_at > profile.changed_at:  # noqa: PLR1730 - a call of max costs more, and this is done for each event
        profile.changed_at = received_at
    profile.events += 1
    return True


def _watch(audiences: tuple[Audience, ...], watching: dict[str, Audience]) -> None:
    """Have these judged, each once."""
    for audience in audiences:
        watching[audience.name] = audience


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _tell(profile: Profile, event: Event, stamp: Stamp, done: list[Change]) -> None:
    """Write the attributes that an identify tells; note what that changed."""
    for name, raw in _fields.decode(event.properties).items():
        before = profile.attributes.get(name)
        after = register.write(before, Write(stamp, bytes(raw)))
        profile.attributes[name] = after
        if before is None or before[0].value != after[0].value:
            done.append(Change(profile.id, ATTRIBUTE, name, event.message_id))
        profile.known_moved = True


def _join(profile: Profile, event: Event, stamp: Stamp, definitions: Definitions, done: list[Change]) -> None:
    """Make the person a member of the group that a group call is of."""
    group = group_of(event, definitions.identity)
    if group is not None:
        new = group not in profile.groups
        join(profile, group, Sighting(stamp.time, event.message_id))
        if new and group in profile.groups:
            done.append(Change(profile.id, GROUP, group, event.message_id))


def _allow(profile: Profile, event: Event, stamp: Stamp, said: Said, done: list[Change]) -> None:
    """Write down what the person allows."""
    for purpose, allowed in said:
        before = profile.consents.get(purpose)
        after = register.write(before, Write(stamp, b"true" if allowed else b"false"))
        profile.consents[purpose] = after
        if before is None or before[0].value != after[0].value:
            done.append(Change(profile.id, CONSENT, purpose, event.message_id))
        profile.known_moved = True


def _compute(  # noqa: C901, PLR0917 - a call of its own only to be read by itself
    profile: Profile, event: Event, stamp: Stamp, plan: Plan, done: list[Change], watching: dict[str, Audience]
) -> None:
    """Move the traits that this event moves; note what that changed, and which audiences look at it."""
    values, states, one, message_id = plan.values(event), profile.traits, profile.id, event.message_id
    for trait, key, place, watchers, in_place, plain, start, add, read in plan.moves:
        value = values[place]
        if value is None and place != NOTHING:
            continue
        old = states.get(key)
        if old is None:  # then there is no value yet, whatever an empty state reads as
            before, new = None, add(start(), value, stamp)
        else:
            before = read(old) if in_place else None
            new = add(old, value, stamp)
        if new is None or (new is old and not in_place):
            continue
        states[key] = new
        if plain:
            if new == old:
                continue
        else:
            if old is not None and not in_place:
                before = read(old)
            if read(new) == before:
                continue
        if trait is not None:
            done.append(Change(one, TRAIT, trait, message_id))
        if watchers:
            _watch(watchers, watching)


def judge(profile: Profile, audience: Audience, stamp: Stamp, definitions: Definitions, now: int) -> Change | None:
    """Let the profile enter or leave an audience, if its condition says so now (microseconds since 1970)."""
    standing = profile.audiences.get(audience.name, OUTSIDE)
    member = definitions.holds[audience.name](profile, now)
    if member == standing.member:
        return None
    number = standing.number + member
    profile.standing_moved = True
    profile.audiences[audience.name] = Membership(member, number, stamp.time)
    return Change(profile.id, changes.ENTERED if member else changes.LEFT, audience.name, stamp.message_id, number)
