"""Who folds: Flink or Spark as their roles host them, with a sink that drops, or the embedded engine in a process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec

from obverse.apps.bench.engine import dropping
from obverse.apps.bench.engine.asked import EMBEDDED, Asked
from obverse.apps.bench.engine.cores import Cores, on_cores
from obverse.apps.bench.engine.course import Course
from obverse.apps.bench.machine import BenchFailed
from obverse.wiring import find
from obverse.wiring.finding import settings_of

PATIENCE: Final = 1800.0
"""Seconds within which a backlog must be folded."""
_LOOK: Final = 0.02
_SILENT: Final = frozenset({"kafka", "folder"})
"""Settings that say where the benchmark itself has put something."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine finds what it needs."""

    kafka: Mapping[str, Any]
    """The table of `[event_log.kafka]`."""
    own: Mapping[str, Any]
    """What the engine's own table says beside."""
    folder: Path
    cores: Cores


@dataclass(slots=True)
class Fold:
    """An engine that folds."""

    told: Mapping[str, Any]
    """Its settings, as figures are told with."""
    pids: Callable[[], Mapping[str, int]]
    """Its processes."""
    course: Course = field(default_factory=Course)
    works: list[asyncio.Task[None]] = field(default_factory=list)
    """What must go on meanwhile."""
    startup: float = float("nan")
    """Seconds from the command until something was folded."""

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """
        Wait until something holds of what is seen.

        Raises:
            BenchFailed: it takes too long, or what folds has ended.
            FlinkFailed, SparkFailed: it has failed.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    self.check()
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise BenchFailed(f"after {PATIENCE:.0f} s not {what}; so far {self.course.done} are") from None

    def check(self) -> None:
        """See that all goes on; raises what has ended it."""
        for work in self.works:
            if work.done():
                work.result()
                raise BenchFailed("what folds has ended")

    async def start(self, stack: AsyncExitStack, cores: Cores) -> None:
        """Have everything that it starts run on its own cores; wait until something is folded."""
        for work in self.works:
            stack.push_async_callback(_ended, work)
        began = perf_counter()
        with on_cores(cores.engine):
            await self.until(lambda: self.course.began is not None, "a single one is folded")
        self.startup = (self.course.began or 0.0) - began


@asynccontextmanager
async def folding(asked: Asked, place: Place, until: int) -> AsyncIterator[Fold]:
    """
    Have the engine fold the log from its beginning while the block runs.

    Of Flink and Spark what comes of the items before `until` is dropped.

    Raises:
        BadSettings, FlinkLacking, SparkLacking, FlinkFailed, SparkFailed: it cannot be started.
    """
    async with AsyncExitStack() as stack:
        if asked.engine == EMBEDDED:
            fold = await _open_alone(place, stack)
        else:
            fold = _open_hosted(asked, place, until, stack)
        await fold.start(stack, place.cores)
        yield fold


def _open_hosted(asked: Asked, place: Place, until: int, stack: AsyncExitStack) -> Fold:
    from obverse.adapters._kafka.folded import KafkaFoldedSource  # noqa: PLC0415 - needs an extra

    words, module, hosting = _HOSTS[asked.engine]
    told = {**words(asked), **place.own, "kafka": dict(place.kafka), "folder": str(place.folder / "kept")}
    settings = settings_of(find("engine_host", asked.engine), told, f"engine.{asked.engine}")
    beside = place.folder / "dropping_told.py"
    beside.write_text(dropping.told(module, until), encoding="utf-8")
    host, pids = hosting(settings, place.folder / "scratch", [Path(str(dropping.__file__)), beside])
    shown = {name: getattr(settings, name) for name in settings.__dataclass_fields__ if name not in _SILENT}
    fold = Fold(shown, pids)
    source = KafkaFoldedSource(settings.log())
    stack.push_async_callback(source.close)
    fold.works += [asyncio.create_task(host.run()), asyncio.create_task(_see(source, fold.course))]
    return fold


async def _see(source: Any, course: Course) -> None:
    while True:
        for _, _, record in await source.next():
            course.see(record)


async def _open_alone(place: Place, stack: AsyncExitStack) -> Fold:
    settings = settings_of(find("engine", EMBEDDED), place.own, f"engine.{EMBEDDED}")
    with on_cores(place.cores.engine):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "obverse.apps.bench.engine.alone"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
    stack.push_async_callback(_stop, process)
    words = {"kafka": dict(place.kafka), "folder": str(place.folder), "settings": dict(place.own)}
    if process.stdin is not None:
        process.stdin.write(msgspec.json.encode(words))
        process.stdin.close()
    shown = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    fold = Fold(shown, lambda: {"worker": process.pid})
    fold.works.append(asyncio.create_task(_hear(process, fold.course)))
    return fold


async def _hear(process: asyncio.subprocess.Process, course: Course) -> None:
    while process.stdout is not None and (line := await process.stdout.readline()):
        at, folded = msgspec.json.decode(line)
        course.see_events(folded, at)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


def _flink(settings: Any, scratch: Path, files: list[Path]) -> tuple[Any, Callable[[], Mapping[str, int]]]:
    from obverse.adapters.flink.hosting import FlinkHost  # noqa: PLC0415 - needs an extra
    from obverse.adapters.flink.submitting import Hosted  # noqa: PLC0415 - the same

    host = FlinkHost(settings, scratch, hosted=Hosted(module="dropping", files=files))

    def pids() -> dict[str, int]:
        cluster = host.cluster
        if cluster is None:
            return {}
        tasks = {one.name.replace("-", "_"): one.pid for one in cluster.task_managers}
        return {"job_manager": cluster.job_manager.pid, **tasks}

    return host, pids


def _spark(settings: Any, scratch: Path, files: list[Path]) -> tuple[Any, Callable[[], Mapping[str, int]]]:
    from obverse.adapters.spark.hosting import SparkHost  # noqa: PLC0415 - needs an extra
    from obverse.adapters.spark.settings import Hosted  # noqa: PLC0415 - the same

    host = SparkHost(settings, scratch, hosted=Hosted(module="dropping", files=files))

    def pids() -> dict[str, int]:
        if host.cluster is None or host.job is None:
            return {}
        workers = {f"worker_{number}": one.pid for number, one in enumerate(host.cluster.workers, 1)}
        return {"master": host.cluster.master.pid, "driver": host.job.driver.pid, **workers}

    return host, pids


_BATCH_RECORDS: Final = 25
"""Of a micro-batch of Spark: 100,000 events, where a backlog is routed. So there are several in the steady part."""
_HOSTS: Final[Mapping[str, tuple[Callable[[Asked], dict[str, Any]], str, Callable[..., Any]]]] = {
    "flink": (
        lambda asked: {"parallelism": asked.cores, "task_managers": asked.cores},
        "obverse.adapters.flink.folding",
        _flink,
    ),
    "spark": (
        lambda asked: {"cores": asked.cores, "batch_records": _BATCH_RECORDS},
        "obverse.adapters.spark.hosted",
        _spark,
    ),
}
"""Settings that follow from what is asked, the module that opens the real machines, and who hosts them."""
