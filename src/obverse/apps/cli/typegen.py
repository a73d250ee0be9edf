"""`obverse typegen`: a typed client from a tracking plan, as a file."""

from __future__ import annotations

import sys
from pathlib import Path

from obverse.adapters.definition_files import read_folder
from obverse.core.tracking_plans import version_text
from obverse.core.typegen import LANGUAGES
from obverse.settings import Settings
from obverse.wiring import trait_kinds


class BadTypegen(ValueError):
    """What was asked for cannot be written; the message says what can."""


def typegen(settings: Settings, name: str, *, version: str, language: str, out: Path | None) -> None:
    """
    Write a typed client.

    Raises:
        BadTypegen: there is no such plan or language, or the file cannot be written.
        BadDefinition: a definition cannot be used.
    """
    write = LANGUAGES.get(language)
    if write is None:
        raise BadTypegen(f"there is no language {language!r}; use one of {', '.join(sorted(LANGUAGES))}")
    plans = read_folder(settings.definitions_folder, trait_kinds()).tracking_plans
    fit = [one for one in plans if one.name == name and version in {"", version_text(one.version)}]
    if not fit:
        known = ", ".join(sorted(one.title for one in plans)) or "none"
        raise BadTypegen(
            f"there is no tracking plan {f'{name} {version}'.strip()!r} in the files of {settings.definitions_folder} "
            f"(there: {known}); one that was made elsewhere, such as in the console, `obverse pull` writes there first"
        )
    text = write(max(fit, key=lambda one: one.version))
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadTypegen(f"{out} cannot be written ({error.strerror}); name another file") from error
