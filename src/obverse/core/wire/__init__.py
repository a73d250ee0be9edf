"""Segment's wire format: the body of a call, read into events and refusals."""

from obverse.core.wire.body import SAMPLE, Limits, Message, Unreadable, glimpsed_keys, open_body
from obverse.core.wire.items import Reading, read_events, rejected_whole, rejections

__all__ = [
    "SAMPLE",
    "Limits",
    "Message",
    "Reading",
    "Unreadable",
    "glimpsed_keys",
    "open_body",
    "read_events",
    "rejected_whole",
    "rejections",
]
