"""Edit: one definition is written, or removed, by the console; with the checks of `obverse apply`, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obverse.core.documents.written import Key, Path, Written, document, named_key, same
from obverse.core.flaws import Flaw
from obverse.flows.apply_definitions import ApplyDefinitions, Plan, Scope
from obverse.ports.definition_store import DefinitionSet, DefinitionStore, Entry, LostRace

CONSOLE: Final = "console"
"""The project of what is made through the API: no file has it, and no `--prune` removes it."""
_TRIES: Final = 5
"""Until somebody else's writes are told as a lost race."""


@dataclass(frozen=True, slots=True)
class FlawAt:
    """One thing that is wrong, with its place in the document."""

    where: str
    """Such as `spec.where.of[1].value`; empty for the document."""
    rule: str
    what: str


class FlawedDocument(ValueError):
    """A document that cannot be used, or without which others cannot."""

    def __init__(self, flaws: Sequence[FlawAt]) -> None:
        super().__init__("; ".join(one.what for one in flaws))
        self.flaws = flaws


class NoSuchDefinition(LookupError):
    """There is none of this kind and name; the message says so."""


class OfAnotherProject(Exception):
    """Files say it, or another project wrote it: what the console wrote would be undone, or undo theirs."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(
            f"{entry.document.key.title} belongs to the project {entry.project!r}, whose files say it; the last to "
            f"change it was {entry.changed_by}"
        )
        self.entry = entry


class ChangedMeanwhile(Exception):
    """It is not as it was when it was read; the message says who changed it."""

    def __init__(self, key: Key, entry: Entry | None) -> None:
        became = "was removed" if entry is None else f"was changed by {entry.changed_by}"
        super().__init__(f"{key.title} {became} since it was read; nothing was written")
        self.entry = entry


class ExistsAlready(Exception):
    """There is one of this kind and name, and whoever writes does not know of it."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(f"there is {entry.document.key.title} already, written by {entry.changed_by}")
        self.entry = entry


class EditDefinitions:
    """Writes and removes definitions of the project `console`."""

    def __init__(self, store: DefinitionStore, apply: ApplyDefinitions) -> None:
        self._store = store
        self._apply = apply

    async def put(self, tree: Any, *, read_as: int | None, by: str) -> Entry:
        """
        Bring one document into force.

        `read_as` is `Entry.changed_in` of the definition that it is made of; None if it is a new one. What it says
        already is not written again.

        Raises:
            FlawedDocument, OfAnotherProject, ChangedMeanwhile, ExistsAlready: nothing was written.
            LostRace: others write all the time; nothing was written.
            Unreachable, AccessRefused: of the store.
        """
        key = named_key(tree)
        written, paths = _numbered(tree)
        for _ in range(_TRIES):
            found = await self._store.read()
            standing = None if key is None else _standing(found, key)
            if key is not None:
                _check(key, standing, read_as)
            plan = await self._apply.plan([written], Scope(project=CONSOLE, whole=False))
            _raise_flaws(plan, paths)
            if standing is not None and same(standing.document.tree, tree):
                return standing
            if plan.set_version == found.version and await self._written(plan, by):
                now = _standing(await self._store.read(), document(tree).key)
                if now is not None:
                    return now
        raise LostRace

    async def remove(self, key: Key, *, read_as: int, by: str) -> None:
        """
        Remove a definition; `read_as` as in `put`.

        Raises:
            NoSuchDefinition, FlawedDocument, OfAnotherProject, ChangedMeanwhile: nothing was removed.
            LostRace, Unreachable, AccessRefused: as in `put`.
        """
        for _ in range(_TRIES):
            found = await self._store.read()
            standing = _standing(found, key)
            if standing is None:
                raise NoSuchDefinition(f"there is no {key.title}")
            _check(key, standing, read_as)
            # As if the console had a folder, and this file of it were gone.
            others = [
                Written(one.document.key.title, one.document.tree)
                for one in found.entries
                if one.project == CONSOLE and one.document.key != key
            ]
            plan = await self._apply.plan(others, Scope(project=CONSOLE, whole=True, prune=True))
            _raise_flaws(plan, [])
            if plan.set_version == found.version and await self._written(plan, by):
                return
        raise LostRace

    async def _written(self, plan: Plan, by: str) -> bool:
        try:
            await self._apply.apply(plan, by)
        except LostRace:
            return False
        return True


def _standing(found: DefinitionSet, key: Key) -> Entry | None:
    return next((one for one in found.entries if one.document.key == key), None)


def _check(key: Key, standing: Entry | None, read_as: int | None) -> None:
    if standing is not None and standing.project != CONSOLE:
        raise OfAnotherProject(standing)
    if standing is not None and read_as is None:
        raise ExistsAlready(standing)
    if read_as is not None and (standing is None or standing.changed_in != read_as):
        raise ChangedMeanwhile(key, standing)


def _raise_flaws(plan: Plan, paths: Sequence[Path]) -> None:
    if plan.flaws:
        raise FlawedDocument([_placed(one, paths) for one in plan.flaws])


def _placed(flaw: Flaw, paths: Sequence[Path]) -> FlawAt:
    path = paths[flaw.line - 1] if 0 < flaw.line <= len(paths) and not flaw.file else ()
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    said = flaw.what if not flaw.file else f"{flaw.file}: {flaw.what}"
    # The place is told beside it.
    return FlawAt(where, flaw.rule, said.removeprefix(f"{where}: ") if where else said)


def _numbered(tree: Any) -> tuple[Written, list[Path]]:
    """The tree as if each of its values stood in a line of its own, and the path of each line."""
    paths = list(_paths(tree, ()))
    values = {path: (line, 1) for line, path in enumerate(paths, 1)}
    return Written("", tree, values, values), paths


def _paths(tree: Any, path: Path) -> Iterator[Path]:
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in items:
        yield from _paths(value, (*path, name))
