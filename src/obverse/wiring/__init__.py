"""Wiring: builds flows over the adapters that settings name (`adapters`, `finding`). The only place that knows both."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from obverse.adapters.runtime.system import open_runtime
from obverse.core.archives import Rule
from obverse.core.audiences import conditions_of, expanded
from obverse.core.definitions import Definitions
from obverse.core.documents import portable
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
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.email_service import EmailService
from obverse.ports.engine import Engine, EngineParts
from obverse.ports.event_log import EventLog
from obverse.ports.merge_requests import MergeRequests
from obverse.ports.outbox import Outbox
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.ports.sessions import Sessions
from obverse.ports.sql_runner import SqlRunner
from obverse.ports.sync_queue import SyncQueue
from obverse.ports.trait_runs import TraitRuns
from obverse.settings import BadSettings, Settings
from obverse.wiring.adapters import Adapters
from obverse.wiring.finding import (
    GROUPS,
    checks,
    find,
    hash_key,
    resolved,
    routes,
    shape_of,
    trait_kind_places,
    trait_kinds,
)

__all__ = ["GROUPS", "Wiring", "checks", "find", "hash_key", "resolved", "routes", "trait_kinds", "wire"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring(Adapters):
    """Builds what a role needs from the settings."""

    async def event_log(self) -> PlacedLog:
        """The log that is in force."""
        named, _ = self.settings.port_options("event_log")
        partitions = self.settings.partitions
        return PlacedLog(await self.log_places(), self.log_of, named, partitions, self.runtime)

    async def whole_log(self) -> EventLog:
        """The log that is in force, with its archive before it if there is one."""
        log, archive = await self.event_log(), await self.archive()
        return log if archive is None else ArchivedLog(log, archive)

    def archiving(self, log: EventLog, archive: Archive) -> ArchiveEvents:
        """The flow that archives events."""
        table = self.settings.archive
        rules = [Rule(days=one.days, type=one.type, event=one.event, source=one.source) for one in table.rules]
        return ArchiveEvents(log, archive, self.runtime, hours=table.hours, rules=rules)

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
        """
        The engine, or a part of it: see `EngineParts`.

        Raises:
            BadSettings: it cannot work with them.
        """
        engine: Engine = await self._open_engine(
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
                announce=definitions.announce,
                arrived=definitions.arrived,
                runtime=self.runtime,
                decides=decides,
                keeps=keeps,
                obstacle=self._obstacle(),
            ),
        )
        return engine

    def sign_in(self, sessions: Sessions) -> SignIn:
        """The flow that lets people in."""
        return SignIn(sessions, self.runtime, lambda: secrets.token_urlsafe(32))

    def merge_requests(self, store: ProfileStore) -> MergeRequests:
        """Who takes requests for merges."""
        return AskMerges(store, self.runtime)

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

    def sql_traits(
        self,
        store: ProfileStore,
        runs: TraitRuns,
        runners: Mapping[str, SqlRunner],
        definitions: CurrentDefinitions,
    ) -> SqlTraits:
        """The flow that has queries give traits."""
        return SqlTraits(store=store, runs=runs, runners=runners, definitions=definitions.current, runtime=self.runtime)

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

    def _share(self) -> int | None:
        """Of how many partitions a collector is the appender."""
        share, (adapter, _) = self.settings.collector.partitions, self.settings.port_options("event_log")
        if share is not None and not getattr(shape_of(find("event_log", adapter)), "shared", True):
            raise BadSettings(
                f"collector.partitions is {share}, but the log of event_log.adapter = {adapter!r} is one process's "
                "own: leave collector.partitions out, or keep the log in postgres, kafka or kinesis"
            )
        return share


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
