"""Pulling: documents put into files. What says the same stays as it is written, remarks and all."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obverse.adapters.definition_files.yaml_text import as_yaml
from obverse.core.documents.written import Document, Key, Written, key_of, same


class UnwritableFile(Exception):
    """A file that cannot be written; the message says which, why, and what to do."""


@dataclass(slots=True)
class Pulled:
    """What became of the files."""

    written: dict[Path, list[Key]] = field(default_factory=dict)
    """Files that are new or say something else now, and what of it is so."""
    same: int = 0
    """Documents that files said already."""
    only_here: list[Key] = field(default_factory=list)
    """What files define and the store does not: left alone."""


def pull(folder: Path, stored: Iterable[Document], here: Sequence[Written], others: Collection[Key] = ()) -> Pulled:
    """
    Bring a folder to say what is stored; `here` is what its files say, without a flaw.

    `others` are stored too, and are not wanted here. A file with several documents is written anew as a whole, if one
    of them changes.

    Raises:
        UnwritableFile: those before it are written.
    """
    known = {key_of(one.tree): one for one in here}
    pulled, trees = Pulled(), {key: one.tree for key, one in known.items()}
    changed: dict[Path, list[Key]] = {}
    keys = set()
    for document in sorted(stored, key=lambda one: one.key):
        key = document.key
        keys.add(key)
        tree = document.tree
        if key in known and same(known[key].tree, tree):
            pulled.same += 1
            continue
        trees[key] = tree
        path = Path(known[key].file) if key in known else _new_path(folder, key, {*map(Path, _files(here)), *changed})
        changed.setdefault(path, []).append(key)
    for path, ones in changed.items():
        told = [key for key, one in known.items() if Path(one.file) == path] or ones
        _write(path, "---\n".join(as_yaml(trees[key]) for key in told))
        pulled.written[path] = ones
    pulled.only_here = sorted(known.keys() - keys - {*others})
    return pulled


def _files(here: Sequence[Written]) -> set[str]:
    return {one.file for one in here}


def _new_path(folder: Path, key: Key, taken: set[Path]) -> Path:
    """A file of its own, beneath a folder of its kind."""
    name = f"{key.name}-{key.version}" if key.version else key.name
    kinds = key.kind if key.kind in {"identity", "matching"} else f"{key.kind}s"
    path = folder / kinds / f"{name}.yml"
    number = 1
    while path in taken or path.exists():
        number += 1
        path = folder / kinds / f"{name}-{number}.yml"
    return path


def _write(path: Path, text: str) -> None:
    # A link stays one: else what it leads to would define the same once more.
    path = Path(os.path.realpath(path))
    # Under another name first, so that nobody reads half of it.
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)  # noqa: PTH105 - at once: it may be watched
    except OSError as error:
        raise UnwritableFile(
            f"{path} cannot be written ({error.strerror}); name a folder that this user may write to, and pull again"
        ) from error
