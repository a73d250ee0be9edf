"""Finding: adapters, kinds of traits and routes by name, and their settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from hashlib import sha256
from importlib.metadata import entry_points, requires
from pathlib import Path
from typing import Any, Final, get_type_hints

import msgspec

from obverse.core.documents.checking import Checks
from obverse.core.traits.kind import TraitKind
from obverse.settings import BadSettings

GROUPS: Final = (
    "archive",
    "event_log",
    "log_places",
    "profile_store",
    "profile_cache",
    "engine",
    "engine_host",
    "sync_queue",
    "outbox",
    "sessions",
    "proposals",
    "matcher",
    "definition_store",
    "trait_runs",
    "replays",
    "sql_runner",
    "crm",
    "email_service",
    "trait_kind",
    "route",
)
"""Entry-point groups, each `obverse.NAME`."""


def find(group: str, name: str, *, where: str = "") -> Any:
    """
    Load what an entry point of the group `obverse.GROUP` names.

    Raises:
        BadSettings: nothing of that name is installed, or not all that it needs; the message says what to do.
    """
    found = entry_points(group=f"obverse.{group}", name=name)
    if not found:
        known = ", ".join(sorted(entry_points(group=f"obverse.{group}").names)) or "none"
        raise BadSettings(f"{where or f'{group}.adapter'} is {name!r}, but only these are installed: {known}")
    try:
        return next(iter(found)).load()
    except ModuleNotFoundError as error:
        lacking = (error.name or "").partition(".")[0]
        extra = extra_of(lacking, requires("obverse") or ())
        if extra is None:
            raise
        raise BadSettings(
            f"{where or f'{group}.adapter'} is {name!r}, which needs {lacking}: install obverse[{extra}]"
        ) from error


def extra_of(module: str, requirements: Iterable[str]) -> str | None:
    """
    The smallest extra that brings a module; None if none does.

    >>> extra_of("confluent_kafka", ['aiohttp>=3', 'confluent-kafka>=2.16; extra == "kafka"'])
    'kafka'
    """
    brought: dict[str, list[str]] = {}
    for one in requirements:
        found = re.match(r"""([A-Za-z0-9._-]+).*\bextra == ["']([^"']+)["']""", one)
        if found is not None:
            brought.setdefault(found[2], []).append(re.sub(r"[-.]", "_", found[1]).lower())
    extras = [extra for extra, packages in brought.items() if module.lower() in packages]
    return min(extras, key=lambda extra: len(brought[extra]), default=None)


def trait_kinds() -> Mapping[str, TraitKind]:
    """Every installed kind of trait by the name that definitions use."""
    return {point.name: point.load()() for point in entry_points(group="obverse.trait_kind")}


def trait_kind_places() -> Mapping[str, str]:
    """Where each of them is, as `module:class`."""
    return {point.name: point.value for point in entry_points(group="obverse.trait_kind")}


def checks() -> Checks:
    """What documents are held against, as it is installed."""
    crms = entry_points(group="obverse.crm")

    def secrets_of(name: str) -> Collection[str]:
        """Of an adapter's settings those that it keeps out of its logs."""
        shape = shape_of(find("crm", name)) if name in crms.names else None
        return {one.name for one in fields(shape) if not one.repr} if shape is not None else ()

    return Checks(trait_kinds(), crms.names, secrets_of)


def routes() -> list[Callable[..., Any]]:
    """The route factories of the API, in order of name."""
    return [point.load() for point in sorted(entry_points(group="obverse.route"), key=lambda point: point.name)]


def hash_key(key: str) -> str:
    """How a write key is kept: its SHA-256 in hexadecimal. Keys have 32 random bytes, so no salt is needed."""
    return sha256(key.encode()).hexdigest()


def shape_of(opener: Any) -> Any:
    """The dataclass that an adapter's opener takes its settings in."""
    return next(iter(get_type_hints(opener).values()))


def settings_of(opener: Any, options: Mapping[str, Any], place: str) -> Any:
    """
    These options in the shape that an adapter's opener takes.

    Raises:
        BadSettings: one is unknown, missing, or of another type; the message says which, and what to write.
    """
    shape = shape_of(opener)
    known = shape.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise BadSettings(f"{place} has no setting {unknown[0]!r}; it knows {', '.join(sorted(known)) or 'none'}")
    try:
        return msgspec.convert(dict(options), shape, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(f"{place}: {error}") from error


_SECRET: Final = re.compile(r"\$\{(env|file):([^}]*)\}")


def resolved(value: Any, folder: Path, place: str) -> Any:
    """
    A setting with its secrets put in: `${env:NAME}` and `${file:PATH}`; a relative path is beneath `folder`.

    Raises:
        BadSettings: there is no such variable or file.
    """

    def put_in(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        try:
            return os.environ[name] if kind == "env" else (folder / name).read_text(encoding="utf-8").strip()
        except KeyError:
            raise BadSettings(f"{place}: the environment has no variable {name}; set it") from None
        except (OSError, ValueError) as error:
            raise BadSettings(f"{place}: {folder / name} cannot be read ({error}); put the secret there") from error

    return _SECRET.sub(put_in, value) if isinstance(value, str) else value
