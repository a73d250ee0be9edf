"""Wiring: finds adapters by name, builds flows. The only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from obverse.adapters.definition_files import DefinitionFiles
from obverse.adapters.runtime.system import open_runtime
from obverse.core.traits.kind import TraitKind
from obverse.core.wire import Limits
from obverse.flows.collect import Collect
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import EventLog
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime
from obverse.settings import BadSettings, Settings

GROUPS: Final = (
    "event_log",
    "profile_store",
    "profile_cache",
    "engine",
    "crm",
    "email_service",
    "trait_kind",
    "route",
)
"""Entry-point groups, each `obverse.NAME`."""


def find(group: str, name: str) -> Any:
    """
    Load what an entry point of the group `obverse.GROUP` names.

    Raises:
        BadSettings: nothing of that name is installed; the message says what is.
    """
    found = entry_points(group=f"obverse.{group}", name=name)
    if not found:
        known = ", ".join(sorted(entry_points(group=f"obverse.{group}").names)) or "none"
        raise BadSettings(f"{group}.adapter is {name!r}, but only these are installed: {known}")
    return next(iter(found)).load()


def trait_kinds() -> Mapping[str, TraitKind]:
    """Every installed kind of trait by the name that definitions use."""
    return {point.name: point.load()() for point in entry_points(group="obverse.trait_kind")}


def routes() -> list[Callable[..., Any]]:
    """The route factories of the API, in order of name."""
    return [point.load() for point in sorted(entry_points(group="obverse.route"), key=lambda point: point.name)]


def hash_key(key: str) -> str:
    """How a write key is kept: its SHA-256 in hexadecimal. Keys have 32 random bytes, so no salt is needed."""
    return sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Builds what a role needs from the settings."""

    settings: Settings
    runtime: Runtime
    dsn: str = ""
    """Of PostgreSQL, for this role."""
    runtime_dir: Path = Path()
    """Folder of mode 0700 for sockets between our processes."""

    async def event_log(self) -> EventLog:
        """The log."""
        log: EventLog = await self._open("event_log", self.runtime)
        return log

    async def profile_store(self) -> ProfileStore:
        """The profile store."""
        store: ProfileStore = await self._open("profile_store", self.runtime)
        return store

    async def profile_cache(self) -> ProfileCache:
        """The profile cache."""
        cache: ProfileCache = await self._open("profile_cache", self.runtime)
        return cache

    async def engine(
        self, log: EventLog, store: ProfileStore, cache: ProfileCache, definitions: DefinitionFiles
    ) -> Engine:
        """The engine."""
        engine: Engine = await self._open(
            "engine",
            EngineParts(
                workspace=self.settings.workspace,
                log=log,
                store=store,
                cache=cache,
                definitions=definitions.current,
                runtime=self.runtime,
            ),
        )
        return engine

    def definitions(self) -> DefinitionFiles:
        """
        The workspace's definitions.

        Raises:
            BadDefinition: a file cannot be used.
        """
        return DefinitionFiles(self.settings.definitions_folder, trait_kinds(), self.runtime)

    def collect(self, log: EventLog, definitions: DefinitionFiles) -> Collect:
        """The flow that takes events in."""
        limits = self.settings.collector
        return Collect(
            log=log,
            definitions=definitions.current,
            runtime=self.runtime,
            hash_key=hash_key,
            limits=Limits(
                event_bytes=limits.event_bytes, batch_bytes=limits.batch_bytes, batch_items=limits.batch_items
            ),
            queue_bytes=limits.queue_bytes,
        )

    async def _open(self, port: str, parts: object) -> Any:
        """Open the adapter that the settings name, with its table; what it does not set comes from us."""
        name, table = self.settings.port_options(port)
        opener = find(port, name)
        shape = next(iter(get_type_hints(opener).values()))
        known = set(shape.__dataclass_fields__)
        given = {
            "dsn": self.dsn,
            "workspace": self.settings.workspace,
            "partitions": self.settings.partitions,
            "socket": str(self.runtime_dir / "profiles.sock"),
        }
        options = {key: value for key, value in given.items() if key in known} | table
        unknown = sorted(set(options) - known)
        if unknown:
            raise BadSettings(
                f"[{port}.{name}] has no setting {unknown[0]!r}; it knows {', '.join(sorted(known)) or 'none'}"
            )
        try:
            settings = msgspec.convert(options, shape, strict=False)
        except msgspec.ValidationError as error:
            raise BadSettings(f"[{port}.{name}]: {error}") from error
        return await opener(settings, parts)


def wire(settings: Settings, *, dsn: str = "", runtime_dir: Path | None = None) -> Wiring:
    """The wiring of a real process."""
    return Wiring(settings=settings, runtime=open_runtime(), dsn=dsn, runtime_dir=runtime_dir or settings.data)
