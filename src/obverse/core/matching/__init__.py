"""Matching: which profiles may be one person, though no identifier ties them."""

from obverse.core.matching.decisions import State, reopens
from obverse.core.matching.fields import Agreement, Field, Kind, MatchingRules, Tiers, replaced
from obverse.core.matching.normal import normal
from obverse.core.matching.reasons import reasons
from obverse.core.matching.records import Record, Values, basis, record_of
from obverse.core.matching.tiers import Tier, beyond_doubt, tier_of

__all__ = [
    "Agreement",
    "Field",
    "Kind",
    "MatchingRules",
    "Record",
    "State",
    "Tier",
    "Tiers",
    "Values",
    "basis",
    "beyond_doubt",
    "normal",
    "reasons",
    "record_of",
    "reopens",
    "replaced",
    "tier_of",
]
