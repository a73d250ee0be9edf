"""What is nearly what SDKs send, for tests that send anything."""

from __future__ import annotations

from hypothesis import strategies as st

from obverse.contracts.trait_kind import ANYTHING, TEXTS
from obverse.core import json_values

CALLS = st.sampled_from([None, "track", "identify", "group", "alias"])
IDS = st.none() | st.text("ab0", max_size=2) | st.integers() | ANYTHING
OBJECTS = st.dictionaries(TEXTS | st.sampled_from(["email", "price", "sku"]), ANYTHING, max_size=3) | ANYTHING
TIMES = st.sampled_from(["2026-01-01T00:00:00Z", "2025-12-31", "soon", ""]) | ANYTHING
PAIRS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["userId", "anonymousId", "email"]) | TEXTS,
            "value": st.sampled_from(["a", 1]) | ANYTHING,
        }
    ),
    max_size=3,
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "page", "screen", "group", "alias", "merge", "x"]) | ANYTHING,
        "event": st.just("Bought") | ANYTHING,
        "name": TEXTS | ANYTHING,
        "userId": IDS,
        "anonymousId": IDS,
        "groupId": IDS,
        "previousId": IDS,
        "messageId": IDS,
        "properties": OBJECTS,
        "traits": OBJECTS,
        "context": OBJECTS,
        "integrations": OBJECTS,
        "timestamp": TIMES,
        "originalTimestamp": TIMES,
        "sentAt": TIMES,
        "custom": ANYTHING,
        "mergeProperties": PAIRS | ANYTHING,
        "_metadata": ANYTHING,
        "writeKey": TEXTS | ANYTHING,
    },
)
"""What is nearly an event."""
ENVELOPES = st.fixed_dictionaries(
    {}, optional={"context": OBJECTS, "integrations": OBJECTS, "sentAt": TIMES, "writeKey": TEXTS | ANYTHING}
)
BODIES = (
    st.binary(max_size=60)
    | st.text('{}[]",:batch\\u0dDeE+-.19 ntrue', max_size=60).map(str.encode)
    | (ANYTHING | ITEMS | st.fixed_dictionaries({"batch": ANYTHING | st.lists(ITEMS)})).map(json_values.encode)
)
