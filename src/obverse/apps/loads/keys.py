"""Where rows are sent, and with which key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from obverse.adapters.definition_files import read_files
from obverse.apps.loads.door import HttpDoor
from obverse.apps.loads.record import BadLoad
from obverse.apps.own_secrets import own_secret
from obverse.apps.sources import add_source, check_name
from obverse.ports.outcomes import AccessRefused
from obverse.ports.runtime import Runtime
from obverse.settings import Settings
from obverse.wiring import hash_key

SOURCE: Final = "load"
"""The source of what is loaded, unless somebody names another one or gives a key."""
_PATIENCE: Final = 20.0
"""Seconds within which a collector takes a source that was just made."""
_LOOK: Final = 0.2


def collector_of(settings: Settings, wanted: str | None = None) -> tuple[str, str]:
    """
    The collector's address: the one that is wanted, or set, or running here; and what the record of a load calls it.

    An installation of this machine is called by its folder, for it may have another port tomorrow.
    """
    told = (wanted or settings.load.collector).rstrip("/")
    if told:
        return told, told
    note = _running(settings.data)
    if note is not None:
        return str(note["collector"]), str(settings.data.resolve())
    host = f"[{settings.collector.host}]" if ":" in settings.collector.host else settings.collector.host
    return f"http://{host}:{settings.collector.port}", str(settings.data.resolve())


def key_of(settings: Settings, wanted: str | None, source: str | None) -> str:
    """
    The write key: the one that is wanted, or set; else that of a source which the installation makes for itself.

    Raises:
        BadLoad: nothing of the kind runs here, or the source is somebody else's.
        BadSourceName: the source cannot be called so.
    """
    if wanted:
        return wanted
    if settings.load.write_key is not None and source is None:
        return settings.load.write_key.get_secret_value()
    name = source or SOURCE
    check_name(name)
    folder = settings.definitions_folder
    if _running(settings.data) is None:
        raise BadLoad(
            f"no installation runs in {settings.data}: start it (`obverse up`), or say with which key rows are sent "
            "to which collector, --write-key KEY --collector URL"
        )
    path = folder / "sources" / f"{name}.yml"
    key = own_secret(settings.data, f"load-{name}")
    if not path.exists():
        add_source(folder, name, key)
    elif hash_key(key) not in path.read_text(encoding="utf-8"):
        raise BadLoad(
            f"source {name!r} has keys that are not known here, for only their hashes are kept: say --write-key KEY, "
            "or another --source"
        )
    return key


def others_beside(settings: Settings, source: str) -> Sequence[str]:
    """The sources that the files define, if this is none of them: else it would be made, which may be an error."""
    folder = settings.definitions_folder
    trees = [one.tree for one in read_files([folder], folder).documents]
    names = {_name(tree) for tree in trees if isinstance(tree, dict) and tree.get("kind") == "source"} - {""}
    return () if source in names else sorted(names)


def _name(tree: Any) -> str:
    metadata = tree.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _running(data: Path) -> Any:
    try:
        return msgspec.json.decode((data / "run.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


async def source_of(door: HttpDoor, runtime: Runtime, *, new: bool) -> str:
    """
    The name of the source that the key opens; `new`: it may have been made just now, and not be known yet.

    Raises:
        AccessRefused: it opens none.
        Unreachable: the collector does not answer.
    """
    began = runtime.elapsed()
    while True:
        try:
            return await door.source()
        except AccessRefused:
            if not new or runtime.elapsed() - began > _PATIENCE:
                raise
        await runtime.sleep(_LOOK)
