"""Connections to PostgreSQL; what all adapters that speak to it share is in `adapters._postgres`."""

from __future__ import annotations

from obverse.adapters._postgres import FAILURES, Link, borrowed, connect, hang_up, trouble

__all__ = ["FAILURES", "Link", "borrowed", "connect", "hang_up", "trouble"]
