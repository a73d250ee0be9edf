"""Segment's wire format: the body of a call, read into events and refusals."""

from obverse.core.wire.body import SAMPLE, Limits, Message, Unreadable, glimpsed_keys, is_batch, open_body
from obverse.core.wire.contexts import agent_of
from obverse.core.wire.items import MISSING_CONSENT, read_events
from obverse.core.wire.legible import Legible, legible
from obverse.core.wire.reading import Reading, rejections
from obverse.core.wire.refusals import as_called, rejected, rejected_whole

__all__ = [
    "MISSING_CONSENT",
    "SAMPLE",
    "Legible",
    "Limits",
    "Message",
    "Reading",
    "Unreadable",
    "agent_of",
    "as_called",
    "glimpsed_keys",
    "is_batch",
    "legible",
    "open_body",
    "read_events",
    "rejected",
    "rejected_whole",
    "rejections",
]
