"""Consents: what a person has allowed, per purpose, as events carry it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

from obverse.core.events import Event

LONGEST: Final = 255
"""Characters of a purpose's name."""
MOST: Final = 100
"""Purposes of one event."""

Said = tuple[tuple[str, bool], ...]
"""Purposes, and whether each was allowed."""


class _Context(msgspec.Struct, gc=False):
    """The parts of a context that speak of consent: Segment's, and RudderStack's."""

    consent: Any = None
    consentManagement: Any = None  # noqa: N815 - as it is sent


_context = msgspec.json.Decoder(_Context)


def consents_of(event: Event) -> Said:
    """
    What an event says that its person allows.

    Segment's SDKs say it in `context.consent.categoryPreferences`, RudderStack's by the allowed and denied ids of
    `context.consentManagement`.
    """
    # Looked for first, as nearly all events say nothing of it.
    return () if event.context.find(b'"consent') < 0 else _said(event.context)


@lru_cache(4096)
def _said(context: bytes) -> Said:
    try:
        read = _context.decode(context)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    said = dict(_of_rudderstack(read.consentManagement))
    said.update(_of_segment(read.consent))
    return tuple(said.items())[:MOST]


def _of_segment(consent: Any) -> Iterator[tuple[str, bool]]:
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if isinstance(preferences, dict):
        for name, allowed in preferences.items():
            if _is_purpose(name) and isinstance(allowed, bool):
                yield name, allowed


def _of_rudderstack(management: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(management, dict):
        for part, allowed in (("allowedConsentIds", True), ("deniedConsentIds", False)):
            names = management.get(part)
            yield from ((name, allowed) for name in (names if isinstance(names, list) else ()) if _is_purpose(name))


def _is_purpose(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= LONGEST
