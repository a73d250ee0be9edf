"""Profiles: one person each, struck from everything that every system knows of them."""

from obverse.core.profiles.filling import fill, go_live, history_of
from obverse.core.profiles.fold import apply, notice
from obverse.core.profiles.judging import judge
from obverse.core.profiles.merging import forget_refusal, join, lose, merge, separate, show, sight, tie
from obverse.core.profiles.packing import due_in, pack_traits, parts, read_traits, whole
from obverse.core.profiles.parts import NEVER, Membership, Sighting
from obverse.core.profiles.profile import Brief, Profile, pack, unpack, unpack_briefly
from obverse.core.profiles.reading import (
    approximate_traits,
    attributes_text,
    computed_traits,
    consents_text,
    identity_graph,
    state_of,
    value_of,
)
from obverse.core.profiles.turning import CLOCK, advance, due_of

__all__ = [
    "CLOCK",
    "NEVER",
    "Brief",
    "Membership",
    "Profile",
    "Sighting",
    "advance",
    "apply",
    "approximate_traits",
    "attributes_text",
    "computed_traits",
    "consents_text",
    "due_in",
    "due_of",
    "fill",
    "forget_refusal",
    "go_live",
    "history_of",
    "identity_graph",
    "join",
    "judge",
    "lose",
    "merge",
    "notice",
    "pack",
    "pack_traits",
    "parts",
    "read_traits",
    "separate",
    "show",
    "sight",
    "state_of",
    "tie",
    "unpack",
    "unpack_briefly",
    "value_of",
    "whole",
]
