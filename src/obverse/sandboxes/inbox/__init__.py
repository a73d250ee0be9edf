"""A mail server on loopback that takes every mail, delivers none, and shows them."""

from __future__ import annotations

from obverse.sandboxes.inbox.inbox import Inbox, open_inbox

__all__ = ["Inbox", "open_inbox"]
