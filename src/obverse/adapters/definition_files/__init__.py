"""Definitions in YAML files: a folder of them, or single ones; a file may hold several documents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from obverse.adapters.definition_files.yaml_documents import read_documents
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents.checking import Checks, check
from obverse.core.documents.written import Written
from obverse.core.flaws import Flaw, told
from obverse.core.traits.kind import TraitKind

_YAML: Final = frozenset({".yml", ".yaml"})
_MJML: Final = ".mjml"
_MJML_FILE: Final = ("spec", "mjml_file")


@dataclass(slots=True)
class Files:
    """What files hold."""

    documents: list[Written] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)


def read_files(paths: Sequence[Path], root: Path) -> Files:
    """
    Every document of these files, and of those beneath these folders; a folder that does not exist holds none.

    A template's `mjml_file` is beneath `root`, or beneath the path that was named if that is elsewhere.
    """
    found = Files()
    seen: set[Path] = set()
    for path in paths:
        own = root if _real(path).is_relative_to(_real(root)) else path if _is_folder(path) else path.parent
        for file in _files(path):
            real = _real(file)
            if real not in seen:
                seen.add(real)
                _read(file, own, found)
    return found


def read_folder(folder: Path, kinds: Mapping[str, TraitKind]) -> Definitions:
    """
    What every YAML file beneath a folder defines together.

    Raises:
        BadDefinition: a line for every flaw, with the file, the place and what to write.
    """
    files = read_files([folder], folder)
    checked = check(files.documents, Checks(kinds))
    flaws = sorted([*files.flaws, *checked.flaws])
    if flaws or checked.definitions is None:
        raise BadDefinition(told(flaws))
    return checked.definitions


def times(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file that counts was changed last, and its size: as long as it is the same, so is what they hold."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in _YAML or path.suffix == _MJML:
            try:
                status = os.stat(path)  # noqa: PTH116 - the cheap one, twice a second
            except OSError:
                continue  # removed while we looked, or a link to nowhere
            found[str(path)] = (status.st_mtime_ns, status.st_size)
    return found


def _real(path: Path) -> Path:
    """Where links lead; of those that lead in a circle the way there, which `Path.resolve` would raise at."""
    return Path(os.path.realpath(path))


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises at a name that is too long


def _files(path: Path) -> Iterator[Path]:
    """The files of a path; one that was named itself may be called whatever it likes."""
    if _is_folder(path):
        yield from sorted(one for one in path.rglob("*") if one.suffix in _YAML)
    else:
        yield path


def _read(file: Path, root: Path, found: Files) -> None:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        if file.is_symlink():
            found.flaws.append(_flaw(file, "OB001", "it is a link to a file that does not exist; mend or remove it"))
        return  # removed while we looked
    except OSError as error:
        found.flaws.append(_flaw(file, "OB001", f"cannot be read ({error.strerror}); let this user read it"))
        return
    documents, flaws = read_documents(data, str(file))
    found.flaws += flaws
    for one in documents:
        flaw = _bring_mjml(one, file, root)
        if flaw is None:
            found.documents.append(one)
        else:
            found.flaws.append(flaw)


def _flaw(file: Path, rule: str, what: str) -> Flaw:
    return Flaw(file=str(file), line=1, column=1, rule=rule, what=what)


def _bring_mjml(one: Written, path: Path, root: Path) -> Flaw | None:
    """Put what a template's `mjml_file` holds in the place of its name."""
    tree: Any = one.tree
    spec = tree.get("spec") if isinstance(tree, dict) and tree.get("kind") == "template" else None
    if not isinstance(spec, dict) or not isinstance(name := spec.get("mjml_file"), str) or not name:
        return None
    line, column = one.at(_MJML_FILE)

    def flaw(what: str) -> Flaw:
        return Flaw(file=one.file, line=line, column=column, rule="OB031", what=what)

    if spec.get("mjml"):
        return flaw("spec: give `mjml` or `mjml_file`, and not both")
    try:
        file = _real(path.parent / name)
        if not file.is_relative_to(_real(root)) or file.suffix != _MJML:
            return flaw(f"spec.mjml_file: {name!r} is no {_MJML} file beneath {root}; put it there")
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        return flaw(f"spec.mjml_file: {name!r} cannot be read ({error}); write it beside")
    # In its place, so that it is the same template wherever its MJML stands.
    tree["spec"] = {("mjml" if field == "mjml_file" else field): value for field, value in spec.items()}
    tree["spec"]["mjml"] = text
    return None
