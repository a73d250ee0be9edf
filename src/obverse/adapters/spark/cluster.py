"""A standalone cluster of Spark on this machine: a master and workers, as child processes on loopback."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from obverse.adapters.spark.environment import SparkEnvironment
from obverse.adapters.spark.processes import SparkProcess

HOST: Final = "127.0.0.1"
DAEMON_MB: Final = 192
"""Heap of the master and of each worker; the executors, which do the work, have their own."""

_LOGGING: Final = """\
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n%ex
# Where they listen, and who came.
logger.master.name = org.apache.spark.deploy.master
logger.master.level = info
logger.worker.name = org.apache.spark.deploy.worker
logger.worker.level = info
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """How jobs reach a cluster."""

    environment: SparkEnvironment
    url: str
    """Of its master."""
    variables: Mapping[str, str] = field(repr=False)
    """The environment of a driver."""


@dataclass(slots=True)
class SparkCluster:
    """A master and workers, until it is closed."""

    environment: SparkEnvironment
    folder: Path
    master: SparkProcess
    workers: list[SparkProcess]
    url: str
    """Where jobs are submitted to."""
    page: tuple[str, int]
    """Host and port where the master tells what runs."""

    def reach(self) -> Reach:
        """How jobs reach it."""
        return Reach(self.environment, self.url, _variables(self.environment, self.folder))

    async def restart_worker(self, number: int) -> None:
        """
        Start a worker again that was killed.

        Raises:
            SparkFailed: it does not start.
        """
        worker = self.workers[number - 1]
        worker.start()
        await worker.until_said(r"Successfully registered with master")

    async def close(self) -> None:
        """Stop every process. What they wrote stays in the folder."""
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        await self.master.stop()


async def open_spark_cluster(
    environment: SparkEnvironment, folder: Path, *, workers: int = 2, worker_mb: int = 1024
) -> SparkCluster:
    """
    Start a master and workers of one core each in the folder, and wait until they know each other.

    `worker_mb` is what the executors of one worker may have for their heaps.

    Raises:
        SparkFailed: one does not start; the message has its last words.
    """
    secret = secrets.token_hex(16)
    await asyncio.to_thread(_write_words, folder, secret)
    master = _daemon(environment, folder, "master", "master.Master")
    cluster = SparkCluster(environment, folder, master, [], "", (HOST, 0))
    try:
        master.start()
        cluster.url = (await master.until_said(rf"spark://{HOST}:\d+"))[0]
        page = await master.until_said(rf"MasterWebUI.* http://{HOST}:(\d+)")
        cluster.page = HOST, int(page[1])
        for number in range(1, workers + 1):
            more = ("--cores", "1", "--memory", f"{worker_mb}m", "--work-dir", str(folder / f"worker-{number}"))
            worker = _daemon(environment, folder, f"worker {number}", "worker.Worker", *more, cluster.url)
            worker.start()
            cluster.workers.append(worker)
        for worker in cluster.workers:
            await worker.until_said(r"Successfully registered with master")
    except BaseException:
        await cluster.close()
        raise
    return cluster


def _daemon(environment: SparkEnvironment, folder: Path, name: str, main: str, *more: str) -> SparkProcess:
    places = ("--host", HOST, "--port", "0", "--webui-port", "0")
    return SparkProcess(
        name,
        (environment.script("spark-class"), f"org.apache.spark.deploy.{main}", *places, *more),
        _variables(environment, folder),
        folder / f"{name.replace(' ', '-')}.log",
    )


def _variables(environment: SparkEnvironment, folder: Path) -> dict[str, str]:
    told = environment.variables(folder / "words", folder, DAEMON_MB)
    return told | {"SPARK_LOCAL_IP": HOST, "SPARK_LOCAL_DIRS": str(folder / "local")}


def _write_words(folder: Path, secret: str) -> None:
    """Write what all processes read. Only we may read it."""
    words = folder / "words"
    words.mkdir(parents=True, exist_ok=True)
    words.chmod(0o700)
    (folder / "local").mkdir(exist_ok=True)
    (words / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
    told = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret,
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.worker.cleanup.enabled": "true",
        "spark.executor.logs.rolling.strategy": "size",
        "spark.executor.logs.rolling.maxSize": str(16 << 20),
        "spark.executor.logs.rolling.maxRetainedFiles": "4",
    }
    lines = "".join(f"{name} {value}\n" for name, value in told.items())
    (words / "spark-defaults.conf").write_text(lines, encoding="utf-8")
