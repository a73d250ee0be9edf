"""Adapters, found by the names that the settings give and opened with what is set of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obverse.adapters.disk import Disk
from obverse.core.outgoing import Connection
from obverse.core.queries import ENGINES, POSTGRES
from obverse.ports.archive import Archive
from obverse.ports.crm import Crm
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.email_service import EmailService
from obverse.ports.engine import EngineHost
from obverse.ports.event_log import EventLog
from obverse.ports.log_places import LogPlaces
from obverse.ports.matcher import Matcher
from obverse.ports.outbox import Outbox
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.ports.proposals import Proposals
from obverse.ports.replays import Replays
from obverse.ports.runtime import Runtime
from obverse.ports.sessions import Sessions
from obverse.ports.sql_runner import SqlRunner
from obverse.ports.sync_queue import SyncQueue
from obverse.ports.trait_runs import TraitRuns
from obverse.settings import BadSettings, Settings
from obverse.wiring.finding import (
    find,
    resolved,
    settings_of,
    shape_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Opens what stands behind each port, for one role."""

    settings: Settings
    runtime: Runtime
    role: str = ""
    """Which role it is for; empty for a command."""
    dsn: str = ""
    """Of PostgreSQL, for this role."""
    query_dsn: str = field(default="", repr=False)
    """The same, for what people have written as SQL."""
    runtime_dir: Path = Path()
    """Folder of mode 0700 for sockets between our processes."""
    folder_is_live: bool = False
    """Whether somebody applies the folder of definitions whenever it changes: who writes there need not."""

    async def archive(self) -> Archive | None:
        """
        Where events are kept beyond the log; None if nowhere.

        Raises:
            BadSettings: what it needs is not installed, or set.
        """
        if not self.settings.archive.adapter:
            return None
        archive: Archive = await self._open("archive", self.runtime, folder=self.settings.data / "archive")
        return archive

    async def log_of(self, adapter: str) -> EventLog:
        """The log of one adapter, whether it is in force or not."""
        log: EventLog = await self._open("event_log", self.runtime, adapter)
        return log

    async def log_places(self) -> LogPlaces:
        """Where the log is."""
        places: LogPlaces = await self._open("log_places", self.runtime)
        return places

    async def profile_store(self) -> ProfileStore:
        """The profile store."""
        store: ProfileStore = await self._open("profile_store", self.runtime)
        return store

    async def profile_cache(self) -> ProfileCache:
        """The profile cache."""
        url = self.settings.redis_url
        more = {} if url is None else {"url": url.get_secret_value()}
        cache: ProfileCache = await self._open("profile_cache", self.runtime, **more)
        return cache

    async def engine_host(self, name: str) -> EngineHost:
        """
        Where an engine folds that does not do so in the worker; its settings are the engine's.

        Raises:
            BadSettings: it cannot be hosted with them.
        """
        host: EngineHost = await self._open_engine(self.settings.data / name, name, group="engine_host")
        return host

    async def _open_engine(self, parts: object, adapter: str | None = None, *, group: str = "") -> Any:
        try:
            return await self._open("engine", parts, adapter, group=group)
        except ValueError as error:
            raise BadSettings(str(error)) from error

    def disk(self) -> Disk | None:
        """The disk that the embedded database is on; None if the database is another one."""
        if self.settings.database_url is not None:
            return None
        return Disk(self.settings.data, self.settings.least_free_mb << 20, self.runtime)

    def _obstacle(self) -> Callable[[], str | None]:
        disk = self.disk()
        return (lambda: None) if disk is None else disk.obstacle

    async def sync_queue(self) -> SyncQueue:
        """The queues of syncs."""
        queue: SyncQueue = await self._open("sync_queue", self.runtime)
        return queue

    async def outbox(self) -> Outbox:
        """Messages, and what became of them."""
        outbox: Outbox = await self._open("outbox", self.runtime)
        return outbox

    async def sessions(self) -> Sessions:
        """Who is signed in."""
        sessions: Sessions = await self._open("sessions", self.runtime)
        return sessions

    async def proposals(self) -> Proposals:
        """Pairs of profiles that may be one person."""
        proposals: Proposals = await self._open("proposals", self.runtime)
        return proposals

    async def matcher(self) -> Matcher:
        """
        Who finds them.

        Raises:
            MatcherLacking: what it needs is not installed.
        """
        matcher: Matcher = await self._open("matcher", self.runtime)
        return matcher

    async def email_service(self) -> EmailService:
        """Who carries our mail."""
        service: EmailService = await self._open("email_service", self.runtime)
        return service

    def inbox_url(self) -> str | None:
        """Where the local inbox is asked; None if mail goes elsewhere."""
        name, table = self.settings.port_options("email_service")
        sandbox = self.settings.sandbox
        own = f"http://{sandbox.host}:{sandbox.port}/inbox"
        return str(table.get("inbox_url", own)).rstrip("/") if name == "local_inbox" else None

    async def open_crm(self, connection: Connection) -> Crm:
        """
        A connection to a CRM, as its definition says.

        Raises:
            BadSettings: its settings cannot be used; the message says which, and what to write.
        """
        place = f"connection {connection.name!r}, spec.settings"
        options = {
            name: resolved(value, self.settings.data, f"{place}.{name}") for name, value in connection.settings.items()
        }
        opener = find("crm", connection.crm, where=f"connection {connection.name!r}, spec.crm")
        crm: Crm = await opener(settings_of(opener, options, place), self.runtime)
        return crm

    async def trait_runs(self) -> TraitRuns:
        """What came of the runs of queries that give traits."""
        runs: TraitRuns = await self._open("trait_runs", self.runtime)
        return runs

    async def sql_runners(self) -> Mapping[str, SqlRunner]:
        """Who runs them, by the engine that a trait names; the settings' adapter, where it names none."""
        return {
            engine: await self._open("sql_runner", self.runtime, None if engine == POSTGRES else engine)
            for engine in ENGINES
        }

    async def replays(self) -> Replays:
        """The ledger of replays."""
        replays: Replays = await self._open("replays", self.runtime)
        return replays

    async def definition_store(self) -> DefinitionStore:
        """The definitions as they were written."""
        store: DefinitionStore = await self._open("definition_store", self.runtime)
        return store

    def _archive_folder(self) -> str:
        """Where the archive's files are, for who reads them without us; empty if there are none."""
        table = self.settings.archive
        folder = Path(self.settings.port_options("archive", "parquet")[1].get("folder", self.settings.data / "archive"))
        return str(folder.absolute()) if table.adapter == "parquet" else ""

    async def _open(
        self, port: str, parts: object, adapter: str | None = None, *, group: str = "", **more: object
    ) -> Any:
        """
        Open an adapter, else the one that the settings name, with its table; what it does not set comes from us.

        `group` is where it is found, if that is not called as its table is.
        """
        name, table = self.settings.port_options(port, adapter)
        opener = find(group or port, name)
        sandbox = self.settings.sandbox
        known = set(shape_of(opener).__dataclass_fields__)
        given = {
            "dsn": self.dsn,
            "query_dsn": self.query_dsn,
            "workspace": self.settings.workspace,
            "partitions": self.settings.partitions,
            "reader": self.role,
            "kafka": self.settings.port_options("event_log", "kafka")[1],
            "archive": self._archive_folder(),
            "socket": str(self.runtime_dir / "profiles.sock"),
            "inbox_host": sandbox.host,
            "inbox_port": sandbox.smtp_port,
            "inbox_url": f"http://{sandbox.host}:{sandbox.port}/inbox",
            **more,
        }
        options = {key: value for key, value in given.items() if key in known} | table
        return await opener(settings_of(opener, options, f"[{port}.{name}]"), parts)
