"""`obverse bench`: benchmarks of an installation. Each imports what it needs when it runs, as in `obverse`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from obverse.apps.cli.bench_options import Batch, People, Repeat, Who
from obverse.apps.cli.bench_running import run_bench
from obverse.apps.cli.benches_alone import alone
from obverse.apps.cli.options import HOSTED, Engine, Json, Log, set_engine

bench = typer.Typer(help="Benchmarks; each prints its settings and peak memory.", no_args_is_help=True)
bench.add_typer(alone)


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
    run_bench(partial(bench_road, load), as_json=as_json, repeat=repeat)


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
    run_bench(partial(bench_collect, load), as_json=as_json, repeat=repeat)


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
    run_bench(partial(bench_overload, load, times, slow_consumer=slow_consumer), as_json=as_json, repeat=repeat)


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
    run_bench(partial(bench_backlog, load, backlog), as_json=as_json)


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
    run_bench(partial(bench_backfill, load, history), as_json=as_json)


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
    run_bench(partial(bench_clock, load), as_json=as_json)


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
    run_bench(partial(bench_poison, load, poison), as_json=as_json)


@bench.command("load")
def bench_load_command(
    *,
    rows: Annotated[int, typer.Option(min=100, help="Of a CSV file of orders; one in a hundred is wrong.")] = 1_000_000,
    kill: Annotated[bool, typer.Option("--kill", help="End it by force at half, and start it again.")] = False,
    as_json: Json = False,
) -> None:
    """How fast `obverse load` brings a file in, in what memory, and whether each row is there once."""
    from obverse.apps.bench.history import bench_history

    run_bench(partial(bench_history, rows, kill=kill), as_json=as_json)


@bench.command("idle")
def bench_idle_command(
    data: Annotated[Path, typer.Option(help="Folder of an installation that is stopped.")] = Path("demo-data"),
    seconds: Annotated[int, typer.Option(min=1)] = 20,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How soon an installation is ready, at first and after a kill, and what it costs while nothing comes."""
    from obverse.apps.bench.idle import bench_idle

    run_bench(partial(bench_idle, data, seconds=seconds), as_json=as_json)
