"""Brings the job to a cluster of Spark, and sees to it that it ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import obverse
from obverse.adapters.spark.cluster import Reach, SparkCluster
from obverse.adapters.spark.environment import SparkEnvironment
from obverse.adapters.spark.processes import SparkProcess
from obverse.adapters.spark.settings import Hosted, SparkSettings, job_words, spark_words

_LIBRARY: Final = ("core", "ports", "adapters/_buckets", "adapters/_kafka", "adapters/spark")
"""What driver and executors import of ours."""
_READY: Final = "obverse: folding"
"""See `job.READY`."""
_PATIENCE: Final = 10.0
"""Seconds for an answer of the master."""


def reach(environment: SparkEnvironment, url: str) -> Reach:
    """
    Return how jobs reach a cluster that somebody else runs.

    Its machines have Spark's environment at the path where it is on this one. What `SPARK_CONF_DIR` says holds.
    """
    told = {"SPARK_HOME": str(environment.home), "PYSPARK_PYTHON": str(environment.python)}
    return Reach(environment, url, {**os.environ, **told})


@dataclass(slots=True)
class SparkJob:
    """A job that was submitted: its driver is a child process."""

    driver: SparkProcess
    folder: Path

    @property
    def alive(self) -> bool:
        """Whether its driver runs."""
        return self.driver.alive

    def progress(self) -> dict[str, Any] | None:
        """What Spark says of the latest micro-batch; None before the first."""
        try:
            told = json.loads((self.folder / "progress.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return dict(told)

    def kill(self) -> None:
        """End the driver at once, as a power cut would; its executors miss it and end."""
        self.driver.kill()

    async def stop(self) -> None:
        """End it. What it had not finished is done again when it is submitted next, from its checkpoint."""
        await self.driver.stop()


async def submit(reached: Reach, settings: SparkSettings, folder: Path, *, hosted: Hosted | None = None) -> SparkJob:
    """
    Submit the job, and wait until it folds. If its checkpoint stands, it goes on from there.

    Its files are in the folder.

    Raises:
        SparkFailed: it does not start; the message has its last words.
    """
    job = await asyncio.to_thread(_prepare, reached, settings, folder, hosted or Hosted())
    job.driver.start()
    try:
        await job.driver.until_said(_READY)
    except BaseException:
        job.kill()
        raise
    return job


async def running(cluster: SparkCluster) -> dict[str, str]:
    """The jobs that run on a cluster: name -> the id that its master gave it."""
    told = json.loads(await asyncio.to_thread(_ask, cluster.page, "GET", "/json/"))
    return {job["name"]: job["id"] for job in told["activeapps"]}


async def end(cluster: SparkCluster, name: str) -> bool:
    """End a job that somebody else submitted; whether there was one."""
    found = (await running(cluster)).get(name)
    if found is None:
        return False
    await asyncio.to_thread(_ask, cluster.page, "POST", "/app/kill/", f"id={found}&terminate=true")
    return True


def write_library(path: Path, more: Sequence[Path] = ()) -> None:
    """Write what driver and executors import of ours, and these modules, as a zip file."""
    root = Path(obverse.__file__).parent
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as library:
        for package in ("__init__.py", "adapters/__init__.py", "adapters/_archived_rows.py", "adapters/_garbage.py"):
            library.write(root / package, f"obverse/{package}")
        for part in _LIBRARY:
            for file in sorted((root / part).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    library.write(file, f"obverse/{file.relative_to(root)}")
        for module in more:
            library.write(module, module.name)


def _prepare(reached: Reach, settings: SparkSettings, folder: Path, hosted: Hosted) -> SparkJob:
    folder.mkdir(parents=True, exist_ok=True)
    words, library = folder / "job.json", folder / "library.zip"
    # There may be passwords among them.
    words.touch(mode=0o600)
    words.write_text(json.dumps(job_words(settings, hosted)), encoding="utf-8")
    (folder / "progress.json").unlink(missing_ok=True)
    write_library(library, hosted.files)
    # On its own: Python looks first where the program is, and our modules are not to be found by half of their names.
    program = Path(shutil.copy(Path(__file__).with_name("job.py"), folder))
    return SparkJob(driver_of("the job", reached, spark_words(settings), (library, program, words)), folder)


def driver_of(name: str, reached: Reach, told: Mapping[str, str], files: tuple[Path, Path, Path]) -> SparkProcess:
    """
    Return the driver of a job, to be started; `told` is what Spark is told of it.

    The files are our library, the program, and the words that it is told, all in one folder, to which it writes.
    """
    library, program, words = files
    options = [word for key, value in told.items() for word in ("--conf", f"{key}={value}")]
    jars = ",".join(map(str, reached.environment.jars))
    command = (
        *(reached.environment.script("spark-submit"), "--master", reached.url, "--jars", jars, *options),
        *("--py-files", str(library), str(program), str(words)),
    )
    # Spark starts one more Python beside the driver, and tells it nothing of --py-files.
    variables = {**reached.variables, "PYTHONPATH": str(library)}
    return SparkProcess(name, command, variables, program.parent / "driver.log")


def _ask(page: tuple[str, int], method: str, path: str, body: str | None = None) -> bytes:
    connection = http.client.HTTPConnection(*page, timeout=_PATIENCE)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, path, body, headers)
        return connection.getresponse().read()
    finally:
        connection.close()
