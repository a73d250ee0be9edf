"""Brings the job into a cluster: packs what its tasks import, and runs `job.py` in Flink's own environment."""

from __future__ import annotations

import asyncio
import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

import obverse
from obverse.adapters._kafka.folded import FOLDED, MOVES
from obverse.adapters._kafka.java_client import java_client
from obverse.adapters.flink.home import FlinkHome
from obverse.adapters.flink.processes import LOG, LOGGING, OPENED
from obverse.adapters.flink.rest import FlinkFailed
from obverse.adapters.flink.settings import FlinkSettings, job_configuration
from obverse.ports.event_log import Stream

FOLDING: Final = "obverse.adapters.flink.folding"
"""The module that opens cutters and machines."""

_PACKED: Final = ("core", "ports", "adapters/_buckets", "adapters/_kafka")
"""Folders of ours that tasks import from."""
_SINGLE: Final = (
    "__init__.py",
    "adapters/__init__.py",
    "adapters/_garbage.py",
    "adapters/flink/__init__.py",
    "adapters/flink/folding.py",
)
_PATIENCE: Final = 300.0
"""Seconds that a submission may take; it takes about eight, most of it Java that looks at what it was given."""
_CLIENT: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """What folds: ours, or what a test puts in its place."""

    module: str = FOLDING
    files: Sequence[Path] = ()
    """Modules that are packed beside ours."""


def job_name(settings: FlinkSettings) -> str:
    """By which a running job is found."""
    log = settings.log()
    return f"{log.prefix}.{log.workspace}"


def pack(target: Path, beside: Iterable[Path] = ()) -> None:
    """Write the archive of Python modules that tasks import from."""
    root = Path(obverse.__file__).parent
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in _PACKED:
            for path in sorted((root / folder).rglob("*.py")):
                archive.write(path, f"obverse/{path.relative_to(root)}")
        for name in _SINGLE:
            archive.write(root / name, f"obverse/{name}")
        for path in beside:
            archive.write(path, path.name)


async def submit(settings: FlinkSettings, home: FlinkHome, *, restore: str = "", hosted: Hosted | None = None) -> str:
    """
    Submit the job to the cluster that `rest` of the settings names, and return its id.

    `restore` is the savepoint or checkpoint that it begins with; without, it begins with the earliest record.

    Raises:
        FlinkFailed: it was not taken; says why.
    """
    hosted = hosted or Hosted()
    with TemporaryDirectory(prefix="obverse-flink-") as made:
        folder = Path(made)
        await asyncio.to_thread(_prepare, folder, home, hosted)
        log, name = settings.log(), job_name(settings)
        told: dict[str, Any] = {
            "hosted": hosted.module,
            "workspace": log.workspace,
            "trait_modules": settings.trait_modules,
            "buckets": settings.buckets,
            "parallelism": settings.parallelism,
            "topics": {stream: log.topic(stream) for stream in (Stream.ROUTED, MOVES, FOLDED)},
            "kafka": {**java_client(log), "group.id": f"{name}.flink"},
            "flink": job_configuration(settings, name, home.python, restore),
            "code": str(folder / "code.zip"),
        }
        environ = home.environ() | {
            "FLINK_CONF_DIR": str(folder),
            "FLINK_LIB_DIR": str(folder / "lib"),
            "FLINK_LOG_DIR": str(folder),
            "FLINK_ENV_JAVA_OPTS": " ".join(
                (*_CLIENT, *OPENED, f"-Djava.io.tmpdir={folder}", f"-D{LOG}={folder}/client.log")
            ),
        }
        return await _run(home, environ, msgspec.json.encode(told))


def _prepare(folder: Path, home: FlinkHome, hosted: Hosted) -> None:
    pack(folder / "code.zip", hosted.files)
    # An empty one it cannot read.
    (folder / "config.yaml").write_text("parallelism.default: 1\n", encoding="utf-8")
    (folder / "log4j-cli.properties").write_text(LOGGING, encoding="utf-8")
    (folder / "lib").mkdir()
    for jar in home.jars():
        if not jar.name.startswith("flink-python"):  # that one it finds by itself, and twice it would clash
            (folder / "lib" / jar.name).symlink_to(jar)


async def _run(home: FlinkHome, environ: dict[str, str], told: bytes) -> str:
    process = await asyncio.create_subprocess_exec(
        home.python,
        str(Path(__file__).with_name("job.py")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            said, complained = await process.communicate(told)
    except TimeoutError:
        raise FlinkFailed(f"the job could not be submitted within {_PATIENCE:.0f} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
    if process.returncode:
        raise FlinkFailed(f"the job could not be submitted: {complained.decode(errors='replace')[-4000:]}")
    return str(msgspec.json.decode(said.splitlines()[-1])["job"])


def newest_checkpoint(place: str) -> str:
    """
    The latest checkpoint or savepoint that is whole in the folder of the settings; empty if there is none.

    After the death of a job manager, which alone knew of its jobs, the next submission goes on with it. In a folder
    that is not on a file system of this machine nothing is found.
    """
    scheme, _, path = place.rpartition("://")
    if scheme not in {"", "file"}:
        return ""
    folder = Path(path).absolute()
    whole = [*folder.glob("checkpoints/*/chk-*/_metadata"), *folder.glob("savepoints/*/_metadata")]
    latest = max(whole, key=lambda one: one.stat().st_mtime_ns, default=None)
    return "" if latest is None else f"file://{latest.parent}"
