"""Definitions as code: `obverse validate`, `plan` and `apply`."""

from __future__ import annotations

import obverse.apps.light_structlog  # noqa: F401  # isort: skip - before all that imports structlog

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import typer

from obverse.adapters.definition_files import read_files
from obverse.adapters.definition_files.pulling import UnwritableFile
from obverse.apps.cli.asker import asker
from obverse.apps.cli.json_line import write_json
from obverse.apps.cli.plan_text import as_tree, in_words
from obverse.apps.cli.reachable import reachable
from obverse.apps.definition_project import ProjectFiles, read_project
from obverse.core.documents.checking import check
from obverse.core.documents.schemas import schemas
from obverse.core.flaws import Flaw, told
from obverse.flows.apply_definitions import ApplyDefinitions, Plan, Scope
from obverse.settings import Settings
from obverse.wiring import checks, trait_kinds

CHANGES: Final = 2
"""Exit code of `plan` if there is something to do; 1 is an error."""
FLAWS: Final = 1


class NotApproved(RuntimeError):
    """Nobody has said yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `apply` is asked for."""

    paths: Sequence[Path]
    prune: bool
    approved: bool
    as_json: bool


def validate(settings: Settings, paths: Sequence[Path], *, as_json: bool) -> int:
    """
    Tell every flaw of these files; what a part refers to may be in the rest of the project's folder.

    Returns:
        0 if there is none, `FLAWS` if there are.

    Raises:
        NoSuchPath: there is nothing of that name.
    """
    project = read_project(settings, paths)
    documents = project.files.documents
    beside = []
    if not project.whole:
        files = {one.file for one in documents}
        folder = settings.definitions_folder
        rest = [one for one in read_files([folder], folder).documents if Path(one.file) not in _resolved(files)]
        beside = list(check(rest, checks()).documents.values())
    checked = check(documents, checks(), beside)
    flaws = sorted([*project.files.flaws, *checked.flaws])
    if as_json:
        write_json({"documents": len(documents), "flaws": flaws})
    else:
        sys.stdout.write(f"{told(flaws)}\n" if flaws else "")
        sys.stderr.write(f"{_count(len(documents), 'document')}, {_count(len(flaws), 'flaw')}\n")
    return FLAWS if flaws else 0


def write_schemas(folder: Path) -> None:
    """
    Write the JSON Schema of every kind, `KIND.schema.json`, and one of any kind, `definition.schema.json`.

    Raises:
        UnwritableFile: they cannot be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, schema in schemas(trait_kinds()).items():
            text = msgspec.json.format(msgspec.json.encode(schema)).decode()
            (folder / f"{kind}.schema.json").write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UnwritableFile(f"{folder} cannot be written ({error.strerror}); name another folder") from error
    sys.stderr.write(
        f"schemas are in {folder}; begin a file with\n# yaml-language-server: $schema=PATH/definition.schema.json\n"
    )


async def plan(settings: Settings, paths: Sequence[Path], *, prune: bool, as_json: bool) -> int:
    """
    Show what would change.

    Returns:
        0 if nothing would, `CHANGES` if something would, `FLAWS` if it cannot be applied.

    Raises:
        NoSuchPath, BadScope: of what was asked for.
        Unreachable, AccessRefused, ServerFailed: the store cannot be read.
    """
    project = read_project(settings, paths)
    async with _applying(settings) as applying:
        planned = await applying.plan(
            project.files.documents, _scope(settings, project, prune=prune), project.files.flaws
        )
    if as_json:
        write_json(as_tree(planned))
    elif planned.flaws:
        _tell_flaws(planned.flaws)
    else:
        sys.stdout.write(in_words(planned))
    return FLAWS if planned.flaws else CHANGES if planned.changes else 0


async def apply(settings: Settings, asked: Asked) -> int:
    """
    Show what changes, ask, and change it.

    Returns:
        0 if it is in force, `FLAWS` if it cannot be applied.

    Raises:
        NoSuchPath, BadScope: of what was asked for.
        NotApproved: somebody said no, or there is nobody to ask.
        LostRace: somebody else has applied something meanwhile.
        Unreachable, AccessRefused, ServerFailed: the store cannot be written.
    """
    project = read_project(settings, asked.paths)
    async with _applying(settings) as applying:
        scope = _scope(settings, project, prune=asked.prune)
        planned = await applying.plan(project.files.documents, scope, project.files.flaws)
        if planned.flaws:
            if asked.as_json:
                write_json(as_tree(planned))
            else:
                _tell_flaws(planned.flaws)
            return FLAWS
        if not asked.as_json:
            sys.stdout.write(in_words(planned))
            sys.stdout.flush()
        if planned.changes and not asked.approved:
            _ask(planned)
        version = await applying.apply(planned, asker())
    if asked.as_json:
        write_json({**as_tree(planned), "applied_version": version})
    elif planned.changes:
        sys.stdout.write(f"Applied: the definitions are at version {version}.\n")
    return 0


def _ask(planned: Plan) -> None:
    if not sys.stdin.isatty():
        raise NotApproved("there is no terminal to ask on: look at `obverse plan`, and say --yes")
    if not typer.confirm(f"Apply {_count(len(planned.changes), 'change')}?", err=True):
        raise NotApproved("nothing was applied")


@asynccontextmanager
async def _applying(settings: Settings) -> AsyncIterator[ApplyDefinitions]:
    async with reachable(settings) as wiring:
        store = await wiring.definition_store()
        profiles = await wiring.profile_store()
        try:
            yield wiring.apply_definitions(store, profiles)
        finally:
            await profiles.close()
            await store.close()


def _scope(settings: Settings, project: ProjectFiles, *, prune: bool) -> Scope:
    return Scope(project=settings.project, whole=project.whole, prune=prune)


def _tell_flaws(flaws: Sequence[Flaw]) -> None:
    sys.stderr.write(f"{told(flaws)}\nobverse: {_count(len(flaws), 'flaw')}; nothing was changed\n")


def _resolved(files: set[str]) -> set[Path]:
    return {one for file in files for one in (Path(file), Path(file).resolve())}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
