"""`obverse bench`: every benchmark a command. Each imports what it needs when it runs, as in `obverse`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from obverse.apps.cli.bench_options import Batch, People, Repeat, Who
from obverse.apps.cli.options import HOSTED, Engine, Json, Log, set_engine
from obverse.apps.cli.telling import told

if TYPE_CHECKING:
    from obverse.apps.bench.repeated import Measure

bench = typer.Typer(help="Benchmarks; each prints its settings and peak memory.", no_args_is_help=True)


@bench.command("road")
def bench_road_command(
    *,
    rate: Annotated[int, typer.Option(min=100, help="Events a second.")] = 20_000,
    batch: Batch = 20,
    seconds: Annotated[int, typer.Option(min=1)] = 20,
    people: People = 100_000,
    users: Who = "sessions",
    log: Log = None,
    engine: Engine = None,
    heavy: Annotated[
        bool, typer.Option("--heavy", help="With ten traits, four of them over windows, and twenty audiences.")
    ] = False,
    outbox: Annotated[
        bool, typer.Option("--outbox", help="Marked people enter an audience: how soon their message is in the outbox.")
    ] = False,
    reads: Annotated[int, typer.Option(min=0, help="Profiles that are read a second beside, one a request.")] = 0,
    roll: Annotated[
        bool,
        typer.Option(
            "--roll",
            help="Have a segment of the log and a partition of event_stream roll over in the middle, and tell the "
            "answers around that, around checkpoints and elsewhere. For the log in PostgreSQL.",
        ),
    ] = False,
    repeat: Repeat = 1,
    as_json: Json = False,
) -> None:
    """
    The whole road at a constant rate: from the sender's body to the visible profile.

    From --seconds 300 on a process that has a quarter, and 32 MiB, more in its last minute than in its first is a flaw.
    """
    from obverse.apps.bench.load import Load
    from obverse.apps.bench.road import bench_road

    set_engine(engine)
    load = Load(
        rate=rate,
        batch=batch,
        seconds=seconds,
        people=people,
        users=users,
        log=log or ("kafka" if engine in HOSTED else "postgres"),
        engine=engine or "embedded",
        heavy=heavy,
        marked=outbox,
        reads=reads,
        roll=roll,
    )
    _bench(partial(bench_road, load), as_json=as_json, repeat=repeat)


@bench.command("collect")
def bench_collect_command(
    *,
    rate: Annotated[int, typer.Option(min=0, help="Events a second; 0: as many as are taken.")] = 0,
    batch: Batch = 1,
    seconds: Annotated[int, typer.Option(min=1)] = 20,
    people: People = 20_000,
    users: Who = "sessions",
    connections: Annotated[
        int, typer.Option(min=1, help="Senders; without a rate, each has one request on its way.")
    ] = 64,
    repeat: Repeat = 1,
    as_json: Json = False,
) -> None:
    """The way up to the answer: how many requests are taken, and how soon they are answered."""
    from obverse.apps.bench.collect import bench_collect
    from obverse.apps.bench.load import Load

    load = Load(rate=rate, batch=batch, seconds=seconds, people=people, users=users, connections=connections)
    _bench(partial(bench_collect, load), as_json=as_json, repeat=repeat)


_RUNS: Final = 5
"""Of each definition by itself; the quickest counts."""


@bench.command("fold")
def bench_fold_command(
    *,
    profiles: Annotated[int, typer.Option(min=1000, help="Profiles in memory.")] = 1_000_000,
    events: Annotated[int, typer.Option(min=1000, help="Events that visit them at random.")] = 1_000_000,
    traits: Annotated[
        int, typer.Option(min=8, max=248, help="Traits, of every kind, with and without a window and a condition.")
    ] = 8,
    audiences: Annotated[int, typer.Option(min=3, max=500, help="Audiences, of every test that there is.")] = 3,
    windowed: Annotated[int, typer.Option(min=0, help="Traits over windows that are computed beside.")] = 0,
    each: Annotated[bool, typer.Option("--each", help="What each trait and audience costs an event, too.")] = False,
    repeat: Repeat = 1,
    as_json: Json = False,
) -> None:
    """What an event's fold costs, and a profile's memory: the worker's own code, in this process alone."""
    from obverse.apps.bench.fold import Folded, bench_fold

    folded = Folded(traits=traits, audiences=audiences, windowed=windowed)
    _bench(
        partial(bench_fold, profiles=profiles, events=events, folded=folded, each=_RUNS if each else 0),
        as_json=as_json,
        repeat=repeat,
    )


@bench.command("overload")
def bench_overload_command(
    *,
    rate: Annotated[int, typer.Option(min=100, help="Events a second that it can take.")] = 10_000,
    times: Annotated[int, typer.Option(min=2, help="How much more comes then.")] = 4,
    seconds: Annotated[
        int, typer.Option(min=1, help="Of the overload; the usual rate comes before, a third as long.")
    ] = 60,
    connections: Annotated[int, typer.Option(min=1, help="Senders.")] = 512,
    slow_consumer: Annotated[
        bool,
        typer.Option("--slow-consumer", help="The worker goes on for a quarter of each second only, meanwhile."),
    ] = False,
    people: People = 20_000,
    repeat: Repeat = 1,
    as_json: Json = False,
) -> None:
    """
    Several times what a collector can take: what is refused, and how those fare who are let in.

    Flaws are answers later than 150 ms at the 99th percentile, refusals without a Retry-After, losses, and a collector
    that grows; from --seconds 300 on any process that does.
    """
    from obverse.apps.bench.load import Load
    from obverse.apps.bench.overload import bench_overload

    load = Load(rate=rate, seconds=seconds, people=people, connections=connections)
    _bench(partial(bench_overload, load, times, slow_consumer=slow_consumer), as_json=as_json, repeat=repeat)


@bench.command("backlog")
def bench_backlog_command(
    *,
    backlog: Annotated[int, typer.Option(min=1000, help="Events that come while nobody folds.")] = 3_000_000,
    rate: Annotated[int, typer.Option(min=100, help="Events a second that come while it catches up.")] = 25_000,
    seconds: Annotated[int, typer.Option(min=1)] = 60,
    batch: Batch = 20,
    people: People = 100_000,
    users: Who = "sessions",
    as_json: Json = False,
) -> None:
    """How fast the worker catches up with what came while it was away, and how senders fare meanwhile."""
    from obverse.apps.bench.backlog import bench_backlog
    from obverse.apps.bench.load import Load

    load = Load(rate=rate, batch=batch, seconds=seconds, people=people, users=users)
    _bench(partial(bench_backlog, load, backlog), as_json=as_json)


@bench.command("backfill")
def bench_backfill_command(
    *,
    history: Annotated[int, typer.Option(min=1000, help="Events that came before the trait is changed.")] = 1_000_000,
    rate: Annotated[int, typer.Option(min=100, help="Events a second that come meanwhile.")] = 10_000,
    seconds: Annotated[int, typer.Option(min=1)] = 60,
    batch: Batch = 20,
    people: People = 100_000,
    users: Who = "sessions",
    as_json: Json = False,
) -> None:
    """How long until a changed trait is computed from history for everybody, and how senders fare meanwhile."""
    from obverse.apps.bench.backfill import bench_backfill
    from obverse.apps.bench.load import Load

    load = Load(rate=rate, batch=batch, seconds=seconds, people=people, users=users)
    _bench(partial(bench_backfill, load, history), as_json=as_json)


@bench.command("clock")
def bench_clock_command(
    *,
    closing: Annotated[int, typer.Option("--people", min=2, help="Whose window closes meanwhile.")] = 2_000,
    rate: Annotated[int, typer.Option(min=100, help="Events a second that come in beside.")] = 5_000,
    seconds: Annotated[int, typer.Option(min=4)] = 20,
    batch: Batch = 20,
    users: Who = "sessions",
    known: Annotated[int, typer.Option(min=1, help="Others who are known, and send the events.")] = 20_000,
    as_json: Json = False,
) -> None:
    """How late people are moved whose window closes by time alone: half at one whole minute, half one by one."""
    from obverse.apps.bench.clock import bench_clock
    from obverse.apps.bench.load import Load

    load = Load(rate=rate, batch=batch, seconds=seconds, people=known, users=users, closing=closing)
    _bench(partial(bench_clock, load), as_json=as_json)


@bench.command("poison")
def bench_poison_command(
    rate: Annotated[int, typer.Option(min=100, help="Good events a second.")] = 5_000,
    poison: Annotated[int, typer.Option(min=1, help="Hostile requests a second.")] = 50,
    seconds: Annotated[int, typer.Option(min=1, help="Of each phase; six in turns, without and with.")] = 10,
    people: People = 20_000,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """What hostile requests cost those who send good ones beside them."""
    from obverse.apps.bench.load import Load
    from obverse.apps.bench.poison import bench_poison

    load = Load(rate=rate, seconds=seconds, people=people)
    _bench(partial(bench_poison, load, poison), as_json=as_json)


@bench.command("metrics")
def bench_metrics_command(
    *,
    rounds: Annotated[int, typer.Option(min=2, help="With and without them each.")] = 100,
    requests: Annotated[int, typer.Option(min=1, help="To the collector, of each round.")] = 50,
    batch: Batch = 20,
    as_json: Json = False,
) -> None:
    """What metrics cost a request to the collector and an event of the fold: the same code with and without them."""
    from obverse.apps.bench.metrics_cost import bench_metrics

    _bench(partial(bench_metrics, rounds=rounds, requests=requests, batch=batch), as_json=as_json)


@bench.command("log")
def bench_log_command(
    small: Annotated[int, typer.Option(help="Events at which it is measured first.")] = 1_000_000,
    large: Annotated[int, typer.Option(help="Events at which it is measured again.")] = 10_000_000,
    log: Log = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """What appending and reading cost in a small and in a large log."""
    from obverse.apps.bench.embedded_log import bench_embedded_log

    _bench(partial(bench_embedded_log, small=small, large=large, log=log or "postgres"), as_json=as_json)


@bench.command("engine")
def bench_engine_command(
    *,
    engine: Annotated[Literal["embedded", "flink", "spark"], typer.Option(help="Who folds.")] = "embedded",
    events: Annotated[int, typer.Option(min=1000, help="Events of the backlog.")] = 400_000,
    people: People = 20_000,
    users: Who = "sessions",
    cores: Annotated[
        int, typer.Option(min=1, help="Tasks that fold, each with a core; with more than one, one is measured too.")
    ] = 1,
    rate: Annotated[int, typer.Option(min=50, help="Events a second of the paced phase.")] = 4_000,
    seconds: Annotated[int, typer.Option(min=1, help="Of the paced phase.")] = 20,
    new: Annotated[
        float, typer.Option(min=0, max=25, help="Percent of the events from a new device, which signs in soon after.")
    ] = 1.0,
    profile: Annotated[bool, typer.Option("--profile", help="Where the time goes, too.")] = False,
    as_json: Json = False,
) -> None:
    """An engine by itself: how fast it folds what was routed beforehand, and then how soon what comes at a pace."""
    from obverse.apps.bench.engine import Asked, bench_engine

    def asked() -> Asked:
        return Asked(
            engine=engine,
            events=events,
            people=people,
            users=users,
            cores=cores,
            rate=rate,
            seconds=seconds,
            new=new,
            profile=profile,
        )

    _bench(partial(bench_engine, told(asked)), as_json=as_json)


@bench.command("cache")
def bench_cache_command(
    *,
    profiles: Annotated[int, typer.Option(min=1000, help="Profiles in it.")] = 100_000,
    rate: Annotated[int, typer.Option(min=1, help="Profiles that are read a second, one a call.")] = 10_000,
    seconds: Annotated[int, typer.Option(min=1, help="Of each phase.")] = 20,
    beside: Annotated[int, typer.Option(min=0, help="Profiles that are written a second while others are read.")] = (
        5_000
    ),
    url: Annotated[
        str, typer.Option(help="A Redis to measure, such as redis://redis-1:6379/0; one of its own, if not given.")
    ] = "",
    as_json: Json = False,
) -> None:
    """How many profiles are written to Redis a second, how soon they are read, and how large they are there."""
    from obverse.apps.bench.cache import bench_cache

    _bench(partial(bench_cache, profiles=profiles, rate=rate, seconds=seconds, beside=beside, url=url), as_json=as_json)


@bench.command("preview")
def bench_preview_command(
    people: Annotated[int, typer.Option(min=1000, help="Profiles.")] = 1_000_000,
    events: Annotated[int, typer.Option(min=1000, help="Their events.")] = 2_000_000,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How long it takes to count whom a condition holds for, node by node, over profiles in PostgreSQL."""
    from obverse.apps.bench.preview import bench_preview

    _bench(partial(bench_preview, people=people, events=events), as_json=as_json)


@bench.command("dry-run")
def bench_dry_run_command(
    events: Annotated[int, typer.Option(min=1000, help="Events in the log.")] = 1_000_000,
    people: Annotated[int, typer.Option(min=10, help="Whose they are, with three devices each.")] = 100_000,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How long `obverse dry-run` takes, from its start to its end, over a log in PostgreSQL."""
    from obverse.apps.bench.dry_run import bench_dry_run

    _bench(partial(bench_dry_run, events=events, people=people), as_json=as_json)


@bench.command("history")
def bench_history_command(
    changes: Annotated[int, typer.Option(min=10, help="Events of one person, each of which changes something.")] = 500,
    instants: Annotated[int, typer.Option(min=1, help="Random ones, as of which they are read.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="How often as of each of them.")] = 10,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How long it takes to read a profile as of an earlier time, out of PostgreSQL."""
    from obverse.apps.bench.as_of import bench_as_of

    _bench(partial(bench_as_of, changes=changes, instants=instants, rounds=rounds), as_json=as_json)


@bench.command("match")
def bench_match_command(
    *,
    records: Annotated[
        int, typer.Option(min=0, help="Records of a made crowd that are matched and timed too; 0: none.")
    ] = 0,
    folder: Annotated[Path, typer.Option(help="Where the labelled data sets are.")] = Path("tests/data/identity"),
    as_json: Json = False,
) -> None:
    """How well profiles are matched, beside Splink with the settings of its own examples; and how fast a crowd is."""
    from obverse.apps.bench.match import bench_match

    _bench(partial(bench_match, folder=folder, records=records), as_json=as_json)


@bench.command("load")
def bench_load_command(
    *,
    rows: Annotated[int, typer.Option(min=100, help="Of a CSV file of orders; one in a hundred is wrong.")] = 1_000_000,
    kill: Annotated[bool, typer.Option("--kill", help="End it by force at half, and start it again.")] = False,
    as_json: Json = False,
) -> None:
    """How fast `obverse load` brings a file in, in what memory, and whether each row is there once."""
    from obverse.apps.bench.history import bench_history

    _bench(partial(bench_history, rows, kill=kill), as_json=as_json)


@bench.command("idle")
def bench_idle_command(
    data: Annotated[Path, typer.Option(help="Folder of an installation that is stopped.")] = Path("demo-data"),
    seconds: Annotated[int, typer.Option(min=1)] = 20,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How soon an installation is ready, at first and after a kill, and what it costs while nothing comes."""
    from obverse.apps.bench.idle import bench_idle

    _bench(partial(bench_idle, data, seconds=seconds), as_json=as_json)


@bench.command("layout")
def bench_layout_command(
    *,
    events: Annotated[int, typer.Option(min=100, help="Events a second, of all workspaces.")] = 1_000_000,
    workspaces: Annotated[int, typer.Option(min=0, help="How many; the fewest that can be, if 0.")] = 0,
    cores: Annotated[int, typer.Option(min=1, help="Of each machine.")] = 16,
    busy: Annotated[float, typer.Option(min=0.05, max=0.95, help="Of a core, as it is planned.")] = 0.6,
    people: Annotated[int, typer.Option(min=1000, help="Of all workspaces.")] = 10_000_000,
    skew: Annotated[float, typer.Option(min=0, max=2, help="The k-th person is k ** SKEW times as rare.")] = 1.0,
    partition: Annotated[
        float, typer.Option(min=0.1, max=1000, help="MB a second that one partition of Kafka takes.")
    ] = 10.0,
    cost: Annotated[
        list[str] | None, typer.Option(help="NAME=MICROSECONDS, such as engine=20; may be said several times.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="That are simulated, after ten to warm up.")] = 10,
    seed: int = 1,
    as_json: Json = False,
) -> None:
    """What machines hold, computed from costs that were measured; and the road of a layout, simulated. Runs nothing."""
    from obverse.apps.bench.layout import bench_layout
    from obverse.apps.bench.layout.asked import Asked, Habits, Machine, costs_of

    habits = Habits(busy=busy, people=people, skew=skew, partition_mb=partition)
    asked = Asked(rate=events, costs=told(lambda: costs_of(cost or [])), machine=Machine(cores=cores), habits=habits)
    _bench(partial(bench_layout, asked, seconds=seconds, seed=seed, cells=workspaces or None), as_json=as_json)


def _bench(measure: Measure, *, as_json: bool, repeat: int = 1) -> None:
    from obverse.apps.bench.repeated import repeated
    from obverse.apps.bench.report import tell
    from obverse.apps.processes import run as run_process
    from obverse.apps.processes import set_up_logging, until_told_to_stop

    set_up_logging("WARNING")

    async def measured() -> int:
        return tell(await (measure() if repeat == 1 else repeated(measure, repeat)), as_json=as_json)

    raise typer.Exit(told(lambda: run_process(until_told_to_stop(measured()))))
