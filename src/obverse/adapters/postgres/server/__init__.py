"""The embedded PostgreSQL: the real server from a wheel, started, adopted and stopped by us."""

from __future__ import annotations

from obverse.adapters.postgres.server.embedded import EmbeddedServer
from obverse.adapters.postgres.server.failure import ServerFailed
from obverse.adapters.postgres.server.logins import DATABASE, ROLES

__all__ = ["DATABASE", "ROLES", "EmbeddedServer", "ServerFailed"]
