"""What is set of a cache in Redis, and what of it the client library is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url

_EXAMPLE: Final = "write it as redis://redis-1:6379/0 (rediss:// with TLS, unix:///run/redis.sock for a socket)"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_LEAST_LEASE: Final = 100
_OPTIONS: Final = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
"""Of a URL, behind the `?`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCacheSettings:
    """The `[profile_cache.redis]` table of the settings file."""

    url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    """Where Redis is, with user and password if it asks for them. The variable `REDIS_URL` sets it too."""

    username: str = ""
    """Instead of those in the URL."""

    password: str = field(default="", repr=False)
    password_file: str = ""
    """File that holds the password, as secrets are mounted."""

    ca_file: str = ""
    """PEM of who signs the server's certificate; what the machine trusts, if empty."""

    workspace: str = "main"

    prefix: str = "obverse"
    """Keys are called `prefix:workspace:…`."""

    expiry_seconds: int = 3_600
    """For how long a profile that the store holds is kept, counted from the checkpoint that wrote it."""

    lease_ms: int = 1_000
    """A writer that says nothing for so long is not believed any more. Twice that it waits for a silent Redis, once."""

    patience_ms: int = 180
    """How long a reader waits for an answer."""

    batch_profiles: int = 200
    """Profiles of one call, at most …"""

    batch_bytes: int = 262_144
    """… and their bytes: Redis answers nobody else meanwhile."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.prefix):
            raise ValueError(
                f"profile_cache.redis.prefix is {self.prefix!r}: use letters, digits, dots, hyphens and underscores"
            )
        least = {
            "expiry_seconds": 1,
            "lease_ms": _LEAST_LEASE,
            "patience_ms": 1,
            "batch_profiles": 1,
            "batch_bytes": 1,
        }
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"profile_cache.redis.{name} is {getattr(self, name)}: it is {bound} at least")
        self._from_url()

    @property
    def place(self) -> str:
        """Where it is, for messages: without a password."""
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            return f"unix://{parts.path}"
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"

    def connection(self) -> Connection | SSLConnection | UnixDomainSocketConnection:
        """
        A connection that is not made yet.

        Raises:
            ValueError: the URL is none, or the file of the password cannot be read.
        """
        given = self._from_url()
        for name in ("username", "password"):
            if getattr(self, name):
                given[name] = getattr(self, name)
        if self.password_file:
            given["password"] = self._read_password()
        kind: Any = given.pop("connection_class", Connection)
        if self.ca_file:
            if kind is not SSLConnection:
                raise ValueError("profile_cache.redis.ca_file is set, and the url has no TLS: begin it with rediss://")
            given["ssl_ca_certs"] = self.ca_file
        made: Connection | SSLConnection | UnixDomainSocketConnection = kind(
            **given, protocol=2, driver_info=None, socket_timeout=None, client_name="obverse"
        )
        return made

    def _from_url(self) -> dict[str, Any]:
        try:
            parts = urlsplit(self.url)
            given = dict(parse_url(self.url))
        except ValueError:
            # Without the reason, which may hold the password.
            raise ValueError(f"profile_cache.redis.url is no address of a Redis: {_EXAMPLE}") from None
        if parts.scheme == "unix" and not parts.path:
            raise ValueError(f"profile_cache.redis.url names no socket: {_EXAMPLE}")
        if parts.scheme != "unix" and not parts.hostname:
            raise ValueError(f"profile_cache.redis.url names no host: {_EXAMPLE}")
        if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdecimal():
            raise ValueError(f"profile_cache.redis.url: {parts.path!r} is no number of a database: {_EXAMPLE}")
        unknown = sorted(set(parse_qs(parts.query)) - _OPTIONS)
        if unknown:
            raise ValueError(
                f"profile_cache.redis.url has the option {unknown[0]!r}, which is not known: "
                f"use one of {', '.join(sorted(_OPTIONS))}"
            )
        return given

    def _read_password(self) -> str:
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ValueError(
                f"profile_cache.redis.password_file: {self.password_file} cannot be read ({error}); "
                "put the password there"
            ) from error
