"""Identity: which identifiers an event shows, and what is decided when it shows a new pair."""

from obverse.core.identity.evidence import REFUSED, SEEN_TOGETHER, Decision, Edge
from obverse.core.identity.names import ID, edge_key, id_name, id_named, id_text, profile_id
from obverse.core.identity.rules import KINDS, LIMITS, LONGEST, IdentityRules, Limit, is_blocked
from obverse.core.identity.showing import identifiers

__all__ = [
    "ID",
    "KINDS",
    "LIMITS",
    "LONGEST",
    "REFUSED",
    "SEEN_TOGETHER",
    "Decision",
    "Edge",
    "IdentityRules",
    "Limit",
    "edge_key",
    "id_name",
    "id_named",
    "id_text",
    "identifiers",
    "is_blocked",
    "profile_id",
]
