"""A session cluster on this machine: one job manager and some task managers, reached through loopback alone."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obverse.adapters.flink.home import FlinkHome
from obverse.adapters.flink.processes import JOB_MANAGER, LOGGING, TASK_MANAGER, JavaProcess
from obverse.adapters.flink.rest import FlinkFailed, FlinkRest
from obverse.adapters.flink.settings import HOST, FlinkSettings, cluster_configuration
from obverse.ports.outcomes import Unreachable

_START: Final = 180.0
"""Seconds within which the cluster must be ready; it takes about four, on a machine that is busy much longer."""
_QUICKLY: Final = ("-XX:TieredStopAtLevel=1",)
"""
The job manager works little, and of what a task manager does three quarters are Python: Java's second compiler would
take more for minutes than it gives (58 and 47 µs an event, of which 35 are Python).
"""


@dataclass(slots=True)
class FlinkCluster:
    """Runs until it is closed."""

    rest: str
    """`host:port` of the job manager's API, and of its pages for people."""
    job_manager: JavaProcess
    task_managers: list[JavaProcess]

    async def until_ready(self) -> None:
        """
        Wait until every task manager has offered its slot.

        Raises:
            FlinkFailed: a process ended, or it took too long; the message has the last words.
        """
        rest = FlinkRest(self.rest)
        try:
            async with asyncio.timeout(_START):
                while True:
                    for one in (self.job_manager, *self.task_managers):
                        if not one.alive:
                            raise FlinkFailed(f"{one.name} of Flink ended: {one.last_words()}")
                    with contextlib.suppress(Unreachable):
                        if await rest.slots() >= len(self.task_managers):
                            return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            words = self.job_manager.last_words()
            raise FlinkFailed(f"Flink was not ready within {_START:.0f} s: {words}") from None
        finally:
            await rest.close()

    async def close(self) -> None:
        """Stop every process. Checkpoints stay where they are."""
        processes = (*self.task_managers, self.job_manager)
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in processes))


async def open_cluster(settings: FlinkSettings, home: FlinkHome, folder: Path) -> FlinkCluster:
    """
    Start a cluster whose logs and scratch files are in the folder, and wait until it is ready.

    Raises:
        FlinkFailed: a process does not start.
    """
    # What was killed has tidied up nothing.
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    for name in ("conf", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with _free_ports(2) as (rpc, rest):
        told = cluster_configuration(settings, rpc=rpc, rest=rest, scratch=folder / "scratch")
        _write(folder / "conf", told)
    manager = JavaProcess("job-manager", JOB_MANAGER, settings.job_manager_heap_mb, 128, home, folder, _QUICKLY)
    tasks = [
        JavaProcess(f"task-manager-{number}", TASK_MANAGER, settings.heap_mb, 128, home, folder, _QUICKLY)
        for number in range(1, settings.task_managers + 1)
    ]
    cluster = FlinkCluster(f"{HOST}:{rest}", manager, tasks)
    try:
        for one in (manager, *tasks):
            one.start()
        await cluster.until_ready()
    except BaseException:
        await cluster.close()
        raise
    return cluster


def _write(conf: Path, told: Mapping[str, Any]) -> None:
    lines = "".join(f"{name}: {value}\n" for name, value in told.items())
    (conf / "config.yaml").write_text(lines, encoding="utf-8")
    (conf / "log4j.properties").write_text(LOGGING, encoding="utf-8")


@contextlib.contextmanager
def _free_ports(count: int) -> Iterator[list[int]]:
    """Ports that nobody else is given while the block runs."""
    with contextlib.ExitStack() as stack:
        doors = [stack.enter_context(socket.socket()) for _ in range(count)]
        for door in doors:
            door.bind((HOST, 0))
        yield [int(door.getsockname()[1]) for door in doors]
