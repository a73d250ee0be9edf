"""Wiring: finds adapters by name, builds flows. The only place that knows both."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from obverse.adapters.disk import Disk
from obverse.adapters.runtime.system import open_runtime
from obverse.core.archives import Rule
from obverse.core.audiences import conditions_of, expanded
from obverse.core.definitions import Definitions
from obverse.core.documents import portable
from obverse.core.outgoing import Connection
from obverse.core.queries import ENGINES, POSTGRES
from obverse.core.wire import Limits
from obverse.flows.absorb import Absorb
from obverse.flows.activate import Activate, ActivateParts
from obverse.flows.apply_definitions import ApplyDefinitions
from obverse.flows.archive import ArchiveEvents
from obverse.flows.archived_log import ArchivedLog
from obverse.flows.arrivals import Arrivals
from obverse.flows.ask_identity import AskMerges
from obverse.flows.collect import Collect
from obverse.flows.current_definitions import CurrentDefinitions
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.deliver import Deliver, DeliverParts
from obverse.flows.placed_log import PlacedLog
from obverse.flows.sign_in import SignIn
from obverse.flows.sql_traits import SqlTraits
from obverse.ports.archive import Archive
from obverse.ports.crm import Crm
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.email_service import EmailService
from obverse.ports.engine import Engine, EngineHost, EngineParts
from obverse.ports.event_log import EventLog
from obverse.ports.log_places import LogPlaces
from obverse.ports.matcher import Matcher
from obverse.ports.merge_requests import MergeRequests
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
    GROUPS,
    checks,
    find,
    hash_key,
    resolved,
    routes,
    settings_of,
    shape_of,
    trait_kind_places,
    trait_kinds,
)

__all__ = ["GROUPS", "Wiring", "checks", "find", "hash_key", "resolved", "routes", "trait_kinds", "wire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Builds what a role needs from the settings."""

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

    async def event_log(self) -> PlacedLog:
        """The log that is in force."""
        named, _ = self.settings.port_options("event_log")
        partitions = self.settings.partitions
        return PlacedLog(await self.log_places(), self.log_of, named, partitions, self.runtime)

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

    async def whole_log(self) -> EventLog:
        """The log that is in force, with its archive before it if there is one."""
        log, archive = await self.event_log(), await self.archive()
        return log if archive is None else ArchivedLog(log, archive)

    def archiving(self, log: EventLog, archive: Archive) -> ArchiveEvents:
        """The flow that archives events."""
        table = self.settings.archive
        rules = [Rule(days=one.days, type=one.type, event=one.event, source=one.source) for one in table.rules]
        return ArchiveEvents(log, archive, self.runtime, hours=table.hours, rules=rules)

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

    async def engine(
        self,
        log: EventLog,
        store: ProfileStore,
        cache: ProfileCache,
        definitions: Arrivals,
        *,
        decides: bool = True,
        keeps: bool = True,
    ) -> Engine:
        """The engine, or a part of it: see `EngineParts`."""
        engine: Engine = await self._open(
            "engine",
            EngineParts(
                workspace=self.settings.workspace,
                log=log,
                store=store,
                cache=cache,
                definitions=definitions.definitions,
                documents=lambda beside: portable.write(
                    definitions.documents(), trait_kind_places(), definitions.coming_documents() if beside else None
                ),
                arriving=definitions.arriving,
                arrived=definitions.arrived,
                runtime=self.runtime,
                decides=decides,
                keeps=keeps,
                obstacle=self._obstacle(),
            ),
        )
        return engine

    async def engine_host(self, name: str) -> EngineHost:
        """
        Where an engine folds that does not do so in the worker; its settings are the engine's.

        Raises:
            BadSettings: it cannot be hosted with them.
        """
        try:
            host: EngineHost = await self._open("engine", self.settings.data / name, name, group="engine_host")
        except ValueError as error:
            raise BadSettings(str(error)) from error
        return host

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

    def sign_in(self, sessions: Sessions) -> SignIn:
        """The flow that lets people in."""
        return SignIn(sessions, self.runtime, lambda: secrets.token_urlsafe(32))

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

    def merge_requests(self, store: ProfileStore) -> MergeRequests:
        """Who takes requests for merges."""
        return AskMerges(store, self.runtime)

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

    def deliver(
        self,
        log: EventLog,
        profiles: CurrentProfiles,
        outbox: Outbox,
        service: EmailService,
        definitions: CurrentDefinitions,
    ) -> Deliver:
        """The flow that sends messages."""
        return Deliver(
            DeliverParts(
                log=log,
                outbox=outbox,
                profiles=profiles,
                service=service,
                definitions=definitions.current,
                runtime=self.runtime,
            )
        )

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

    def absorb(self, collect: Collect, queue: SyncQueue, definitions: CurrentDefinitions) -> Absorb:
        """The flow that takes a CRM's edits in."""
        return Absorb(
            collect=collect,
            queue=queue,
            definitions=definitions.current,
            open_crm=self.open_crm,
            runtime=self.runtime,
        )

    def activate(
        self,
        log: EventLog,
        store: ProfileStore,
        profiles: CurrentProfiles,
        queue: SyncQueue,
        definitions: CurrentDefinitions,
    ) -> Activate:
        """The flow that keeps CRMs in step."""
        return Activate(
            ActivateParts(
                log=log,
                queue=queue,
                store=store,
                profiles=profiles,
                definitions=definitions.current,
                open_crm=self.open_crm,
                runtime=self.runtime,
            )
        )

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

    def sql_traits(
        self,
        store: ProfileStore,
        runs: TraitRuns,
        runners: Mapping[str, SqlRunner],
        definitions: CurrentDefinitions,
    ) -> SqlTraits:
        """The flow that has queries give traits."""
        return SqlTraits(store=store, runs=runs, runners=runners, definitions=definitions.current, runtime=self.runtime)

    async def replays(self) -> Replays:
        """The ledger of replays."""
        replays: Replays = await self._open("replays", self.runtime)
        return replays

    async def definition_store(self) -> DefinitionStore:
        """The definitions as they were written."""
        store: DefinitionStore = await self._open("definition_store", self.runtime)
        return store

    def definitions(self, store: DefinitionStore) -> CurrentDefinitions:
        """The definitions in force, followed in the store."""
        return CurrentDefinitions(store, trait_kinds(), self.runtime)

    def apply_definitions(self, store: DefinitionStore, profiles: ProfileStore | None = None) -> ApplyDefinitions:
        """The flow that changes definitions; with `profiles` it tells of audiences how many are in them."""
        if profiles is None:
            return ApplyDefinitions(store, checks(), self.runtime)

        async def sizes(names: Collection[str]) -> Mapping[str, int]:
            audiences = (await profiles.overview()).audiences
            return {name: audiences.get(name, 0) for name in names}

        async def preview(after: Definitions, names: Collection[str]) -> Mapping[str, int]:
            if not names:
                return {}
            # It brings the sets of people, which `obverse up` never needs.
            from obverse.flows.preview import Preview  # noqa: PLC0415

            counting, found = Preview(profiles, lambda: after, self.runtime), conditions_of(after.audiences)
            return {name: await counting.count(expanded(found[name], found)) for name in names}

        return ApplyDefinitions(store, checks(), self.runtime, sizes=sizes, preview=preview)

    def collect(self, log: EventLog, definitions: CurrentDefinitions, is_bot: Callable[[str], bool]) -> Collect:
        """The flow that takes events in."""
        limits = self.settings.collector
        return Collect(
            log=log,
            definitions=definitions.current,
            runtime=self.runtime,
            hash_key=hash_key,
            limits=Limits(
                event_bytes=limits.event_bytes,
                batch_bytes=limits.batch_bytes,
                batch_items=limits.batch_items,
                message_id_characters=limits.message_id_characters,
                group_id_characters=limits.group_id_characters,
                properties=limits.properties,
            ),
            queue_bytes=limits.queue_bytes,
            queue_seconds=limits.queue_ms / 1000,
            partitions=self._share(),
            is_bot=is_bot,
            obstacle=self._obstacle(),
        )

    def _archive_folder(self) -> str:
        """Where the archive's files are, for who reads them without us; empty if there are none."""
        table = self.settings.archive
        folder = Path(self.settings.port_options("archive", "parquet")[1].get("folder", self.settings.data / "archive"))
        return str(folder.absolute()) if table.adapter == "parquet" else ""

    def _share(self) -> int | None:
        """Of how many partitions a collector is the appender."""
        share, (adapter, _) = self.settings.collector.partitions, self.settings.port_options("event_log")
        if share is not None and not getattr(shape_of(find("event_log", adapter)), "shared", True):
            raise BadSettings(
                f"collector.partitions is {share}, but the log of event_log.adapter = {adapter!r} is one process's "
                "own: leave collector.partitions out, or keep the log in postgres, kafka or kinesis"
            )
        return share

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


def wire(
    settings: Settings,
    *,
    role: str = "",
    dsn: str = "",
    query_dsn: str = "",
    runtime_dir: Path | None = None,
    folder_is_live: bool = False,
) -> Wiring:
    """The wiring of a real process."""
    return Wiring(
        settings=settings,
        runtime=open_runtime(),
        role=role,
        dsn=dsn,
        query_dsn=query_dsn,
        runtime_dir=runtime_dir or settings.data,
        folder_is_live=folder_is_live,
    )
