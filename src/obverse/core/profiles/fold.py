"""The fold: what one event does to the profile it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from obverse.core.audiences import Audience
from obverse.core.changes import ATTRIBUTE, CONSENT, GROUP, TRAIT, Change
from obverse.core.consents import Said, consents_of
from obverse.core.crdt import register
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Write
from obverse.core.definitions import NOTHING, Definitions, Guarded, Plan
from obverse.core.events import Event
from obverse.core.groups import group_of
from obverse.core.profiles.judging import judge, watch
from obverse.core.profiles.merging import join, show
from obverse.core.profiles.parts import Sighting
from obverse.core.profiles.profile import Profile
from obverse.core.profiles.turning import advance
from obverse.core.profiles.window import message_key
from obverse.core.traits.windows import Windowed


def apply(  # noqa: PLR0917 - a call by names costs more, and this is done for each event
    profile: Profile,
    event: Event,
    stamp: Stamp,
    place: tuple[int, int],
    definitions: Definitions,
    shown: Iterable[str] = (),
) -> list[Change] | None:
    """
    Fold one event into the profile it belongs to, and say what it changed.

    Changes the profile in place. Returns None, having changed nothing but the version, if the profile has
    seen the message id before. `stamp` is the event's; `place` is its (partition, offset); `shown` are the
    identifiers that it shows.
    """
    if not notice(profile, event, stamp, place, shown):
        return None
    # First what time alone has changed by then.
    done = advance(profile, profile.changed_at, definitions) if profile.due <= profile.changed_at else []
    watching: dict[str, Audience] = {}
    said, plan = consents_of(event), definitions.plan(event)
    if said or plan.tells:
        _hear(profile, event, stamp, said, definitions, done, watching)
    if plan.moves or plan.guarded:
        _compute(profile, event, stamp, plan, done, watching)
    if profile.events == 1:
        watch(definitions.newcomers, watching)
    if watching:
        now = profile.changed_at
        if profile.turned_at > now:  # noqa: PLR1730 - as below
            now = profile.turned_at
        for audience in watching.values():
            entered_or_left = judge(profile, audience, stamp, definitions, now)
            if entered_or_left is not None:
                done.append(entered_or_left)
            if audience.name in definitions.changing:
                _wake_by(profile, definitions.changing[audience.name](profile, now))
    return done


def _wake_by(profile: Profile, due: int | None) -> None:
    """
    Have a profile looked at by this instant.

    What was due earlier stays so, though it may have moved on: to look once too early costs less than to ask all that
    may change with time after each event.
    """
    if due is not None and due < profile.due:
        profile.due = due


def notice(profile: Profile, event: Event, stamp: Stamp, place: tuple[int, int], shown: Iterable[str] = ()) -> bool:
    """Note that an event has come and showed these, and nothing of what it says; False if it had come before."""
    partition, offset = place
    if offset > profile.version.get(partition, -1):
        profile.version[partition] = offset
    received_at = event.received_at
    if not profile.seen.note(message_key(event), received_at // 1_000_000):
        return False
    if profile.first is None or stamp < profile.first:
        profile.first = stamp
    if received_at > profile.changed_at:  # noqa: PLR1730 - a call of max costs more, and this is done for each event
        profile.changed_at = received_at
    profile.events += 1
    # Only now: an event that comes again shows nothing, for its time is of the later copy.
    show(profile, shown, event, stamp.time)
    return True


def _hear(  # noqa: PLR0917 - a call of its own only to be read by itself
    profile: Profile,
    event: Event,
    stamp: Stamp,
    said: Said,
    definitions: Definitions,
    done: list[Change],
    watching: dict[str, Audience],
) -> None:
    """Take in what an event says of the person; note what that changed, and which audiences look at it."""
    told: list[Change] = []
    if said:
        _allow(profile, event, stamp, said, told)
    if event.type == "identify":
        _tell(profile, event, stamp, told)
    elif event.type == "group":
        _join(profile, event, stamp, definitions, told)
    for change in told:
        watch(definitions.watchers.get((change.kind, change.name), ()), watching)
    done += told


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


def _compute(  # noqa: C901, PLR0912, PLR0917 - as above
    profile: Profile,
    event: Event,
    stamp: Stamp,
    plan: Plan,
    done: list[Change],
    watching: dict[str, Audience],
) -> None:
    """Move the traits that this event moves; note what that changed, and which audiences look at it."""
    values, states, one, message_id = plan.values(event), profile.traits, profile.id, event.message_id
    if plan.guarded:
        _compute_guarded(profile, event, stamp, plan.guarded, values, done, watching)
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
            watch(watchers, watching)


def _compute_guarded(  # noqa: PLR0917 - as above
    profile: Profile,
    event: Event,
    stamp: Stamp,
    guarded: Sequence[Guarded],
    values: list[Any],
    done: list[Change],
    watching: dict[str, Audience],
) -> None:
    """As `_compute`, of traits that look at a condition, or at a window of time."""
    states, now = profile.traits, profile.now
    for trait, key, place, watchers, kind, holds in guarded:
        value = values[place]
        if (value is None and place != NOTHING) or (holds is not None and not holds(values, now)):
            continue
        old = states.get(key)
        before = None if old is None else kind.read(old)
        old = kind.start() if old is None else old
        new = kind.add(old, value, stamp, now) if isinstance(kind, Windowed) else kind.add(old, value, stamp)
        if new is None:
            continue
        states[key] = new
        if isinstance(kind, Windowed):
            _wake_by(profile, kind.due(new))
        if kind.read(new) != before:
            if trait is not None:
                done.append(Change(profile.id, TRAIT, trait, event.message_id))
            watch(watchers, watching)
