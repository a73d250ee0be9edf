"""`obverse bench`: benchmarks of one part by itself. Each imports what it needs when it runs, as in `obverse`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from obverse.apps.cli.bench_options import Batch, People, Repeat, Who
from obverse.apps.cli.bench_running import run_bench
from obverse.apps.cli.options import Json, Log
from obverse.apps.cli.telling import told

alone = typer.Typer()

_RUNS: Final = 5
"""Of each definition by itself; the quickest counts."""


@alone.command("fold")
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
    run_bench(
        partial(bench_fold, profiles=profiles, events=events, folded=folded, each=_RUNS if each else 0),
        as_json=as_json,
        repeat=repeat,
    )


@alone.command("metrics")
def bench_metrics_command(
    *,
    rounds: Annotated[int, typer.Option(min=2, help="With and without them each.")] = 100,
    requests: Annotated[int, typer.Option(min=1, help="To the collector, of each round.")] = 50,
    batch: Batch = 20,
    as_json: Json = False,
) -> None:
    """What metrics cost a request to the collector and an event of the fold: the same code with and without them."""
    from obverse.apps.bench.metrics_cost import bench_metrics

    run_bench(partial(bench_metrics, rounds=rounds, requests=requests, batch=batch), as_json=as_json)


@alone.command("log")
def bench_log_command(
    small: Annotated[int, typer.Option(help="Events at which it is measured first.")] = 1_000_000,
    large: Annotated[int, typer.Option(help="Events at which it is measured again.")] = 10_000_000,
    log: Log = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """What appending and reading cost in a small and in a large log."""
    from obverse.apps.bench.embedded_log import bench_embedded_log

    run_bench(partial(bench_embedded_log, small=small, large=large, log=log or "postgres"), as_json=as_json)


@alone.command("engine")
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

    run_bench(partial(bench_engine, told(asked)), as_json=as_json)


@alone.command("cache")
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

    run_bench(
        partial(bench_cache, profiles=profiles, rate=rate, seconds=seconds, beside=beside, url=url), as_json=as_json
    )


@alone.command("preview")
def bench_preview_command(
    people: Annotated[int, typer.Option(min=1000, help="Profiles.")] = 1_000_000,
    events: Annotated[int, typer.Option(min=1000, help="Their events.")] = 2_000_000,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How long it takes to count whom a condition holds for, node by node, over profiles in PostgreSQL."""
    from obverse.apps.bench.preview import bench_preview

    run_bench(partial(bench_preview, people=people, events=events), as_json=as_json)


@alone.command("dry-run")
def bench_dry_run_command(
    events: Annotated[int, typer.Option(min=1000, help="Events in the log.")] = 1_000_000,
    people: Annotated[int, typer.Option(min=10, help="Whose they are, with three devices each.")] = 100_000,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How long `obverse dry-run` takes, from its start to its end, over a log in PostgreSQL."""
    from obverse.apps.bench.dry_run import bench_dry_run

    run_bench(partial(bench_dry_run, events=events, people=people), as_json=as_json)


@alone.command("history")
def bench_history_command(
    changes: Annotated[int, typer.Option(min=10, help="Events of one person, each of which changes something.")] = 500,
    instants: Annotated[int, typer.Option(min=1, help="Random ones, as of which they are read.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="How often as of each of them.")] = 10,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """How long it takes to read a profile as of an earlier time, out of PostgreSQL."""
    from obverse.apps.bench.as_of import bench_as_of

    run_bench(partial(bench_as_of, changes=changes, instants=instants, rounds=rounds), as_json=as_json)


@alone.command("match")
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

    run_bench(partial(bench_match, folder=folder, records=records), as_json=as_json)


@alone.command("layout")
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
    run_bench(partial(bench_layout, asked, seconds=seconds, seed=seed, cells=workspaces or None), as_json=as_json)
