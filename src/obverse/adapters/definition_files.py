"""Definitions from a folder of YAML files, read again when a file changes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
import yaml

from obverse.core import documents
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.tracking_plans import BadPlan, check_edits
from obverse.core.traits.kind import TraitKind
from obverse.ports.runtime import Runtime

LOOK: Final = 1.0
"""Seconds between two looks at the folder's times of change."""

_log = structlog.get_logger(__name__)
_YAML: Final = frozenset({".yml", ".yaml"})
_MJML: Final = ".mjml"
_READ: Final = _YAML | {_MJML}
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DefinitionFiles:
    """The definitions of one folder; `current` is in memory and never waits."""

    def __init__(self, folder: Path, kinds: Mapping[str, TraitKind], runtime: Runtime) -> None:
        """
        Read the folder; one that does not exist defines nothing.

        Raises:
            BadDefinition: a file cannot be used; the message names it, the place and what to write.
        """
        self._folder = folder
        self._kinds = kinds
        self._runtime = runtime
        self._seen = self._times()
        self._current = read_folder(folder, kinds)

    def current(self) -> Definitions:
        """The definitions as the files said last; a file that cannot be used changes nothing."""
        return self._current

    async def watch(self) -> None:
        """Follow changes, until cancelled."""
        while True:
            await self._runtime.sleep(LOOK)
            times = self._times()
            if times == self._seen:
                continue
            self._seen = times
            try:
                changed = read_folder(self._folder, self._kinds)
                check_edits(self._current.tracking_plans, changed.tracking_plans)
                self._current = changed
            except (BadDefinition, BadPlan) as error:
                _log.error("definitions not changed: a file cannot be used", reason=str(error))
            else:
                _log.info("definitions changed", folder=str(self._folder))

    def _times(self) -> dict[str, tuple[int, int]]:
        times = {}
        for path in _files(self._folder, _READ):
            try:
                status = os.stat(path)  # noqa: PTH116 - the cheap one, once a second
            except FileNotFoundError:
                continue  # removed while we looked
            times[str(path)] = (status.st_mtime_ns, status.st_size)
        return times


def _files(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


def read_folder(folder: Path, kinds: Mapping[str, TraitKind]) -> Definitions:
    """
    Read every YAML file beneath a folder; a file may hold several documents.

    Raises:
        BadDefinition: names the file, the line or field, and what to write.
    """
    return documents.read(_documents(folder), kinds)


def _documents(folder: Path) -> Iterator[tuple[str, Any]]:
    for path in _files(folder, _YAML):
        try:
            text = path.read_text(encoding="utf-8")
            trees = list(yaml.load_all(text, Loader=_Loader))
        except FileNotFoundError:
            continue  # removed while we looked
        # PyYAML lets a date of no calendar through as ValueError, deep nesting as RecursionError.
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            reason = str(error).replace('in "<unicode string>", ', "")  # the name is said already
            raise BadDefinition(f"{path}: cannot be read as YAML: {reason}") from error
        for place, tree in enumerate(trees):
            if tree is not None:
                where = f"{path}" if len(trees) == 1 else f"{path} (document {place + 1})"
                _bring_mjml(tree, path, folder, where)
                yield where, tree


def _bring_mjml(tree: Any, path: Path, folder: Path, where: str) -> None:
    """Put what a template's `mjml_file` holds in the place of its name."""
    spec = tree.get("spec") if isinstance(tree, dict) and tree.get("kind") == "template" else None
    if not isinstance(spec, dict) or not isinstance(name := spec.get("mjml_file"), str) or not name:
        return
    if spec.get("mjml"):
        raise BadDefinition(f"{where}: spec: give `mjml` or `mjml_file`, and not both")
    file = (path.parent / name).resolve()
    if not file.is_relative_to(folder.resolve()) or file.suffix != _MJML:
        raise BadDefinition(f"{where}: spec.mjml_file: {name!r} is no {_MJML} file beneath {folder}; put it there")
    try:
        spec["mjml"] = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadDefinition(f"{where}: spec.mjml_file: {name!r} cannot be read ({error}); write it beside") from error
