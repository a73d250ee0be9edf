"""Profiles: one person each, struck from everything that every system knows of them."""

from obverse.core.profiles.fold import apply, judge
from obverse.core.profiles.merging import join, lose, merge, separate, sight, tie
from obverse.core.profiles.packing import parts, whole
from obverse.core.profiles.parts import Membership, Sighting
from obverse.core.profiles.profile import Brief, Profile, pack, unpack, unpack_briefly
from obverse.core.profiles.reading import (
    attributes_text,
    computed_traits,
    consents_text,
    identity_graph,
    state_of,
    value_of,
)

__all__ = [
    "Brief",
    "Membership",
    "Profile",
    "Sighting",
    "apply",
    "attributes_text",
    "computed_traits",
    "consents_text",
    "identity_graph",
    "join",
    "judge",
    "lose",
    "merge",
    "pack",
    "parts",
    "separate",
    "sight",
    "state_of",
    "tie",
    "unpack",
    "unpack_briefly",
    "value_of",
    "whole",
]
