"""SQL traits: have queries give traits their values, each when it is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, TypeVar

import structlog

from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import ID, IdentityRules, identifiers
from obverse.core.queries import SOURCE, BadQuery, Query, Told, event_of
from obverse.core.queries.answers import Moves, compare, read_answer
from obverse.flows.vitals import Vitals, keep_on
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime
from obverse.ports.sql_runner import SqlRunner
from obverse.ports.trait_runs import GivenValue, TraitRun, TraitRuns, TraitRunsWorker

LOOK: Final = 1.0
"""Seconds between two looks at what is due."""
AT_ONCE: Final = 500
"""People who are looked up, and events that are asked for, in one step."""
MOST_WAITING: Final = 1000
"""Events that wait for the log; beyond, a run waits too."""
PATIENCE: Final = 60.0
"""Seconds that it waits, while none of them is taken."""
KEPT: Final = 24 * 3_600_000_000
"""Microseconds that is remembered which events were asked for, after they were appended."""
_NOTHING: Final = ""
"""The digest of no query."""

_log = structlog.get_logger(__name__)
_One = TypeVar("_One")


@dataclass(slots=True)
class _People:
    """Whom names lead to."""

    profiles: dict[str, bytes] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    """By name, the identifier that an event of this person shows."""


class _NotAsked(Exception):
    """Who runs a query is away, and others may not be."""

    def __init__(self, reason: Unreachable | AccessRefused) -> None:
        super().__init__(str(reason))
        self.reason = reason


class SqlTraits:
    """
    Runs each query when it is due, and asks for an event for each value that is not as it was given last.

    A query that fails is told, and run again when it is due next; one that nobody can be asked stays due. Others go on.
    One worker at a time does it. A crash
    in the midst of a run has the query run again: what was noted by then is not sent again.
    """

    def __init__(
        self,
        *,
        store: ProfileStore,
        runs: TraitRuns,
        runners: Mapping[str, SqlRunner],
        definitions: Callable[[], Definitions],
        runtime: Runtime,
    ) -> None:
        self._store = store
        self._runs = runs
        self._runners = runners
        self._definitions = definitions
        self._runtime = runtime
        self._latest: dict[str, TraitRun] = {}
        self.vitals = Vitals()
        """Of it, `records` are rows, by what became of them; `turns` are runs."""

    async def run(self) -> None:
        """Go on until cancelled, whatever fails beneath."""
        await keep_on(self._run, self.vitals, self._runtime, doing="giving traits by queries", pause=lambda: LOOK)

    async def _run(self) -> None:
        while not self._queries():
            self.vitals.failure = None
            await self._runtime.sleep(LOOK)
        worker = await self._runs.open_worker()
        try:
            self._latest = {one.trait: one for one in await self._runs.latest()}
            while True:
                await self.turn(worker)
                await self._runtime.sleep(LOOK)
        finally:
            await worker.close()

    async def turn(self, worker: TraitRunsWorker) -> int:
        """
        Run what is due, and return how many queries that were.

        Raises:
            Unreachable, AccessRefused: a store is away, or the log takes nothing; what was not noted is due still. Or
                who runs a query is away: the others were run.
        """
        due = [(trait, query) for trait, query in self._queries().items() if self._is_due(trait, query)]
        self._tell_due(dict(due))
        away: Unreachable | AccessRefused | None = None
        for trait, query in due:
            began = self._runtime.elapsed()
            try:
                given = await self._give(worker, trait, query)
            except _NotAsked as error:
                away = away or error.reason
                continue
            took = self._runtime.elapsed() - began
            run = replace(given, took=round(took * 1_000_000))
            await worker.finish(run)
            self._latest[trait] = run
            self.vitals.turns.note(took)
            self.vitals.records.update(run.counts)
            if run.flaw is not None:
                self.vitals.interrupted(run.flaw)
                _log.warning("the query of a trait failed", trait=trait, reason=run.flaw)
        self._tell_due({trait: query for trait, query in due if self._is_due(trait, query)})
        if due:
            await self._store.forget_events(SOURCE, before=self._runtime.now() - KEPT)
        await self._forget(worker)
        if away is not None:
            raise away
        self.vitals.failure = "; ".join(self._flaws()) or None
        return len(due)

    async def _forget(self, worker: TraitRunsWorker) -> None:
        """Forget what was given for traits that are gone: if one comes back, all of it is sent again."""
        queries = self._queries()
        for trait, last in self._latest.items():
            if trait not in queries and last.digest != _NOTHING:
                await worker.note(trait, {}, [*await worker.given(trait)])
                ended = replace(last, digest=_NOTHING, flaw=None, counts={})
                await worker.finish(ended)
                self._latest[trait] = ended

    def _queries(self) -> dict[str, Query]:
        return {one.name: one.query for one in self._definitions().traits if one.query is not None}

    def _is_due(self, trait: str, query: Query) -> bool:
        last = self._latest.get(trait)
        if last is None:
            return True
        now = self._runtime.now()
        # Where the clock was set back it waits: of two values the one of the later time holds.
        return now > last.at and (last.digest != query.digest or last.at + query.every <= now)

    def _tell_due(self, due: Mapping[str, Query]) -> None:
        """Note which wait, and since when: since the first of those was due that ran before."""
        ran = [self._latest[trait].at + query.every for trait, query in due.items() if trait in self._latest]
        now = self._runtime.now()
        since = min((at for at in ran if at <= now), default=None)
        self.vitals.queues.seen("queries", len(due), now, since)

    def _flaws(self) -> Iterator[str]:
        for trait in self._queries():
            last = self._latest.get(trait)
            if last is not None and last.flaw is not None:
                yield f"trait {trait!r}: {last.flaw}"

    async def _give(self, worker: TraitRunsWorker, trait: str, query: Query) -> TraitRun:
        last = self._latest.get(trait)
        number = 1 if last is None else last.number + 1
        run = TraitRun(trait=trait, number=number, digest=query.digest, at=self._runtime.now())
        rules = self._definitions().identity
        try:
            rows = await self._runners[query.engine].run(query.sql)
            found = read_answer(rows.columns, rows.rows, rules)
        except BadQuery as error:
            return replace(run, flaw=_placed(error, query))
        except (Unreachable, AccessRefused) as error:
            raise _NotAsked(error) from error
        before = await worker.given(trait)
        moves = compare(found, {name: one.value for name, one in before.items()})
        counts = found.counts + Counter(same=len(moves.same))
        sending = _Sending(self._store, worker, run, rules, self._runtime)
        counts += await sending.send(moves, before)
        return replace(run, counts={name: count for name, count in counts.items() if count})


@dataclass(slots=True)
class _Sending:
    """Asks for the events of one run."""

    store: ProfileStore
    worker: TraitRunsWorker
    run: TraitRun
    rules: IdentityRules
    runtime: Runtime

    async def send(self, moves: Moves, before: Mapping[str, GivenValue]) -> Counter[str]:
        """Ask for what moved, and note it; return rows by what became of them."""
        counts = Counter[str]()
        people = await self._find([*moves.given, *moves.gone])
        # Who has a row that is as it was has the profile of then: a look at everybody would cost too much.
        rows = Counter([people.profiles[name] for name in moves.given if name in people.profiles])
        rows.update(before[name].profile for name in moves.same)
        given: dict[str, bytes] = {}
        for name, value in moves.given.items():
            if name not in people.profiles:
                counts["unknown"] += 1
            elif rows[people.profiles[name]] > 1:
                counts["twice"] += 1
            else:
                given[name] = value
        counts["given"] = len(given)
        for part in _parts(sorted(given)):
            await self._ask([self._event(people, name, given[name]) for name in part])
            noted = {name: GivenValue(people.profiles[name], given[name]) for name in part}
            await self.worker.note(self.run.trait, noted)
        for part in _parts(sorted(moves.gone)):
            # Who is told of by another identifier now has that one's value.
            ended = [name for name in part if name in people.profiles and not rows[people.profiles[name]]]
            await self._ask([self._event(people, name, None) for name in ended])
            await self.worker.note(self.run.trait, {}, part)
            counts["gone"] += len(ended)
        return counts

    async def _find(self, names: Collection[str]) -> _People:
        people = _People()
        for part in _parts(names):
            for name, packed in (await self.store.load_named(part)).items():
                try:
                    person = profiles.unpack_briefly(packed)
                except ValueError:
                    continue  # of a newer release: nobody can be found in it
                shown = name
                if name.startswith(f"{ID}:"):
                    if not person.identifiers:
                        continue
                    shown = min(person.identifiers, key=lambda one: (self.rules.rank(one), one))
                # One that an event would not show would make another person.
                if shown in identifiers(self._told(shown, None), self.rules):
                    people.profiles[name], people.shown[name] = person.id, shown
        return people

    def _event(self, people: _People, name: str, value: bytes | None) -> Event:
        return self._told(people.shown[name], value)

    def _told(self, identifier: str, value: bytes | None) -> Event:
        run = self.run
        return event_of(Told(trait=run.trait, run=run.number, at=run.at, identifier=identifier, value=value))

    async def _ask(self, events: Sequence[Event]) -> None:
        if not events:
            return
        await self.store.ask_events(events)
        since = self.runtime.elapsed()
        while len(await self.store.waiting_events(limit=MOST_WAITING + 1)) > MOST_WAITING:
            if self.runtime.elapsed() - since > PATIENCE:
                raise Unreachable("the collector appends nothing of what waits for it; see whether it runs")
            await self.runtime.sleep(LOOK)


def _placed(error: BadQuery, query: Query) -> str:
    """The flaw, with the place of what is meant in the query as somebody wrote it."""
    if error.at is None:
        return str(error)
    # Imported where something failed: sqlglot takes a third of a second.
    from obverse.core.queries.texts import place  # noqa: PLC0415

    found = place(query.written, query.sql, error.at, query.engine)
    return str(error) if found is None else f"line {found[0]}, column {found[1]}: {error}"


def _parts(names: Iterable[_One]) -> Iterator[list[_One]]:
    rest = iter(names)
    while part := list(islice(rest, AT_ONCE)):
        yield part
