"""Segment's wire format: the body of a call, read into events and refusals."""

from obverse.core.wire.body import SAMPLE, Limits, Message, Unreadable, glimpsed_keys, is_batch, open_body
from obverse.core.wire.contexts import agent_of
from obverse.core.wire.items import read_events
from obverse.core.wire.reading import Reading, rejections
from obverse.core.wire.refusals import rejected, rejected_whole

__all__ = [
    "SAMPLE",
    "Limits",
    "Message",
    "Reading",
    "Unreadable",
    "agent_of",
    "glimpsed_keys",
    "is_batch",
    "open_body",
    "read_events",
    "rejected",
    "rejected_whole",
    "rejections",
]
