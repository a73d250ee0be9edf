"""
The addresses that SDKs call, those of a wrongly set host included, and what each of them means.

Sources: Segment's HTTP tracking API, analytics-next `plugins/segmentio`, Jitsu `ingest`, RudderStack `gateway`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_CALLS: Final = ("track", "identify", "page", "screen", "group", "alias")
MERGE: Final = "merge"
"""RudderStack's: two identifiers are of one person."""

SENDING: Final[Mapping[str, str | None]] = {
    **{f"/v1/{call}": call for call in (*_CALLS, MERGE)},
    # analytics.js names a call by its first letter.
    **{f"/v1/{call[0]}": call for call in _CALLS},
    # The mobile SDKs and analytics.js add `b` to a host that users may have given a path of its own.
    **dict.fromkeys(("/v1/batch", "/v1/b", "/batch", "/b", "/v1/batch/b", "/batch/b", "/v1/import")),
    "/beacon/v1/batch": None,
}
"""Path -> the type of the call that it names; None for a batch."""

TOLD: Final = ", ".join(("/v1/batch", *(f"/v1/{call}" for call in _CALLS)))
"""Where somebody who went astray is sent."""

WEBHOOK: Final = "/v1/webhook"
"""Any JSON object, form or query, kept as one track."""

SOURCE_CONFIG: Final = frozenset({"/sourceConfig", "/sourceConfig/"})
"""Asked by RudderStack's SDKs when they start."""

PIXELS: Final[Mapping[str, str]] = {
    **{f"/pixel/v1/{call}": call for call in ("track", "page")},
    # Segment's: the whole call in one parameter.
    **{f"/v1/pixel/{call}": call for call in _CALLS},
}
"""Path of a picture -> the type of the call that its query holds."""

_SETTINGS: Final = re.compile(r"(?:/cdn)?(?:/v1)?/projects(?:/projects)?/([^/]{1,200})/settings/?")


def settings_key(path: str) -> str | None:
    """
    The write key whose settings this path asks for.

    >>> settings_key("/v1/projects/wk_1/settings"), settings_key("/v1/projects/projects/wk_1/settings")
    ('wk_1', 'wk_1')
    """
    found = _SETTINGS.fullmatch(path)
    return found[1] if found else None
