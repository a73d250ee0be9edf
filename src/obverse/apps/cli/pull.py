"""`obverse pull`: the definitions in force, as files."""

from __future__ import annotations

import obverse.apps.light_structlog  # noqa: F401  # isort: skip - before all that imports structlog

import sys
from pathlib import Path

from obverse.adapters.definition_files import read_files
from obverse.adapters.definition_files.pulling import Pulled
from obverse.adapters.definition_files.pulling import pull as pull_into
from obverse.apps.cli.json_line import write_json
from obverse.apps.cli.plan_text import of_key
from obverse.apps.cli.reachable import reachable
from obverse.core.definitions import BadDefinition
from obverse.core.documents.checking import check
from obverse.core.flaws import REFERENCE, printable, told
from obverse.flows.edit_definitions import CONSOLE
from obverse.settings import Settings
from obverse.wiring import checks


async def pull(settings: Settings, folder: Path | None, *, every: bool, as_json: bool) -> int:
    """
    Write what this project has applied, and what was made in the console, into files; with `every`, all there is.

    Raises:
        BadDefinition: a file that is there has a flaw; mended or removed, it can be compared.
        Unreachable, AccessRefused, ServerFailed: the store cannot be read.
        UnwritableFile: a file cannot be written.
    """
    place = folder or settings.definitions_folder
    files = read_files([place], place)
    checked = check(files.documents, checks())
    flaws = [one for one in sorted([*files.flaws, *checked.flaws]) if one.rule != REFERENCE]
    if flaws:
        raise BadDefinition(f"files cannot be compared with what is stored; mend or remove them\n{told(flaws)}")
    async with reachable(settings) as wiring:
        store = await wiring.definition_store()
        try:
            found = await store.read()
        finally:
            await store.close()
    ours = {settings.project, CONSOLE}
    wanted = [one.document for one in found.entries if every or one.project in ours]
    pulled = pull_into(place, wanted, files.documents, [one.document.key for one in found.entries])
    if as_json:
        write_json(_as_tree(pulled))
    else:
        sys.stdout.write(_in_words(pulled))
    return 0


def _as_tree(pulled: Pulled) -> dict[str, object]:
    written = [
        {"file": str(path), "definitions": [of_key(key) for key in keys]} for path, keys in pulled.written.items()
    ]
    return {"written": written, "same": pulled.same, "only_here": [of_key(key) for key in pulled.only_here]}


def _in_words(pulled: Pulled) -> str:
    lines = [
        f"wrote {printable(str(path))} ({', '.join(key.title for key in keys)})"
        for path, keys in pulled.written.items()
    ]
    lines.append(f"{len(pulled.written)} files written; {pulled.same} definitions were there already.")
    if pulled.only_here:
        names = ", ".join(key.title for key in pulled.only_here)
        lines.append(f"In files, and not in force (`obverse apply` brings it): {names}")
    return "\n".join(lines) + "\n"
