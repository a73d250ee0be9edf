"""Identity: which identifiers an event shows, and what is decided when it shows a new pair."""

from obverse.core.identity.evidence import REFUSED, SEEN_TOGETHER, Decision, Edge, Part, SetAside
from obverse.core.identity.kinds import KINDS, KNOWN, OF_A_DEVICE, SPELLINGS, Kind, Spelling, is_region
from obverse.core.identity.names import ID, edge_key, id_name, id_named, id_text, profile_id
from obverse.core.identity.rules import LIMITS, LONGEST, OTHERS, PRESETS, IdentityRules, Limit, is_blocked
from obverse.core.identity.showing import identifiers

__all__ = [
    "ID",
    "KINDS",
    "KNOWN",
    "LIMITS",
    "LONGEST",
    "OF_A_DEVICE",
    "OTHERS",
    "PRESETS",
    "REFUSED",
    "SEEN_TOGETHER",
    "SPELLINGS",
    "Decision",
    "Edge",
    "IdentityRules",
    "Kind",
    "Limit",
    "Part",
    "SetAside",
    "Spelling",
    "edge_key",
    "id_name",
    "id_named",
    "id_text",
    "identifiers",
    "is_blocked",
    "is_region",
    "profile_id",
]
