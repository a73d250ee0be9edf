"""What time alone does to a profile: what leaves a window, and who leaves an audience for it."""

from __future__ import annotations

from typing import Final

from obverse.core import times
from obverse.core.audiences import Audience
from obverse.core.changes import TRAIT, Change
from obverse.core.crdt.clock import Stamp
from obverse.core.definitions import Definitions
from obverse.core.profiles.judging import judge, watch
from obverse.core.profiles.parts import NEVER
from obverse.core.profiles.profile import Profile

CLOCK: Final = "clock"
"""Who wrote what time alone has changed: the source of its stamps, and the beginning of its message ids."""


def due_of(profile: Profile, definitions: Definitions, now: int) -> int:
    """The next instant after this at which a profile may change though no event comes; `NEVER`, if there is none."""
    due, states = NEVER, profile.traits
    for trait, kind in definitions.windowed:
        state = states.get(trait.key)
        if state is not None:
            leaves = kind.due(state)
            if leaves is not None and leaves < due:
                due = leaves
    for changes_at in definitions.changing.values():
        turns = changes_at(profile, now)
        if turns is not None and turns < due:
            due = turns
    return due


def advance(profile: Profile, now: int, definitions: Definitions) -> list[Change]:
    """
    Have time go on for a profile, and say what that changed. `now` is in microseconds since 1970.

    Each instant at which something could change is gone through by itself, in order: so it does not matter how often,
    and how late, somebody looks. Nothing happens if none has come by then.
    """
    done: list[Change] = []
    while profile.due <= now:
        at = profile.due
        _turn(profile, at, definitions, done)
        profile.turned_at = max(profile.turned_at, at)
        profile.due = max(due_of(profile, definitions, at), at + 1)
    return done


def _turn(profile: Profile, at: int, definitions: Definitions, done: list[Change]) -> None:
    stamp = Stamp(at, CLOCK, f"{CLOCK}:{times.to_text(at)}")
    watching: dict[str, Audience] = {}
    for trait, kind in definitions.windowed:
        state = profile.traits.get(trait.key)
        if state is None or (leaves := kind.due(state)) is None or leaves > at:
            continue
        before = kind.read(state)
        kind.advance(state, at)
        if kind.read(state) != before:
            done.append(Change(profile.id, TRAIT, trait.name, stamp.message_id))
            watch(definitions.watchers.get((TRAIT, trait.name), ()), watching)
    for name, changes_at in definitions.changing.items():
        # Just before, it would have said that it changes now.
        if changes_at(profile, at - 1) == at:
            watching[name] = definitions.audience_of_name[name]
    for audience in watching.values():
        entered_or_left = judge(profile, audience, stamp, definitions, at)
        if entered_or_left is not None:
            done.append(entered_or_left)
