"""A project: the definitions of one folder of files, or a part of them, as commands and `obverse up` read them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from obverse.adapters.definition_files import Files, read_files
from obverse.flows.apply_definitions import ApplyDefinitions, Plan, Scope
from obverse.settings import Settings


class NoSuchPath(ValueError):
    """A path of definitions that is not there."""


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """What was read."""

    files: Files
    whole: bool
    """Whether it is all of the project's folder."""


def read_project(settings: Settings, paths: Sequence[Path] = ()) -> ProjectFiles:
    """
    Read the project's folder, or these paths alone: a part, unless one of them holds the whole folder.

    Raises:
        NoSuchPath: a path, or the folder, is not there.
    """
    folder = settings.definitions_folder
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - `Path.exists` raises at a name that is too long
            raise NoSuchPath(f"there is no {path}; name files or folders of definitions")
    if not paths and not os.path.isdir(folder):  # noqa: PTH112 - as above
        raise NoSuchPath(
            f"there is no folder {folder}; make it, say --data FOLDER for another installation, name the folder with "
            "OBVERSE_DEFINITIONS or `definitions` in obverse.toml, or name the files themselves"
        )
    whole = not paths or any(folder.resolve().is_relative_to(path.resolve()) for path in paths)
    return ProjectFiles(read_files(paths or [folder], folder), whole)


async def compare_folder(settings: Settings, apply: ApplyDefinitions) -> Plan:
    """
    Compare the project's folder with what is in force; nothing is changed.

    Raises:
        NoSuchPath: the folder is not there.
        Unreachable, AccessRefused: the store cannot be read.
    """
    project = await asyncio.to_thread(read_project, settings)
    scope = Scope(project=settings.project, whole=True)
    return await apply.plan(project.files.documents, scope, project.files.flaws)
