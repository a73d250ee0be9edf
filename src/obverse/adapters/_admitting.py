"""Tracking plans, where events are folded: how each goes on."""

from __future__ import annotations

import structlog

from obverse.core.definitions import Definitions
from obverse.core.events import Event, RejectedEvent, unfoldable

_log = structlog.get_logger(__name__)


def admitted(event: Event, definitions: Definitions) -> Event | RejectedEvent:
    """Hold an event against its source's tracking plan: how it goes on, or what it becomes instead."""
    held = definitions.held.get(event.source)
    if held is None:
        return event
    try:
        return held.judge(event)
    except Exception as error:  # noqa: BLE001 - one event that cannot be judged must not stop all others
        _log.error("event set aside", message_id=event.message_id, error=repr(error))
        return unfoldable(event, error)
