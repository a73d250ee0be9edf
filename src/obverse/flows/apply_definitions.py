"""Apply: what files say is compared with what is stored, shown, and written; nothing is removed unasked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from obverse.core.audiences import conditions_of
from obverse.core.conditions import TRAIT, subjects
from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents.checking import Checked, Checks, check, edits
from obverse.core.documents.written import Difference, Document, Key, Written, differences, named_key, same
from obverse.core.flaws import Flaw, told
from obverse.flows.current_definitions import read_documents
from obverse.ports.definition_store import Author, DefinitionStore, Entry
from obverse.ports.runtime import Runtime

_REMEMBERED: Final = 50
"""Changes of one definition in which what the files say is looked for."""
Sizes = Callable[[Collection[str]], Awaitable[Mapping[str, int]]]
"""How many people are in each of these audiences now."""
Preview = Callable[[Definitions, Collection[str]], Awaitable[Mapping[str, int]]]
"""How many people would be in each of these audiences under such definitions; what cannot be told is left out."""


class BadScope(ValueError):
    """What was asked for would touch what it must not; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the files stand for."""

    project: str
    whole: bool
    """Whether they are all of the project. Of a part nothing follows for what it does not name."""
    prune: bool = False
    """Whether what the project has stored, and its files do not name, is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """What becomes of one definition."""

    action: Literal["add", "change", "remove"]
    key: Key
    place: str
    """File and line; empty for what is removed."""
    document: Document | None
    fields: Sequence[Difference] = ()
    """In what the stored document and the new one differ."""
    stored: Entry | None = None
    """The definition as it stands."""
    drifted: bool = False
    """Whether the files say what was stored once, and somebody else has changed it since."""
    size_before: int | None = None
    """Of an audience: people in it now."""
    size_after: int | None = None
    """The same afterwards; None if that cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would change."""

    scope: Scope
    set_version: int
    """Of the definitions that the files were compared with."""
    changes: Sequence[PlannedChange] = ()
    kept: Sequence[Entry] = ()
    """What the project has stored and its files do not name: it stays, unless it is pruned."""
    flaws: Sequence[Flaw] = ()
    """If there are any, nothing can be applied."""


class ApplyDefinitions:
    """The flow behind `obverse plan` and `obverse apply`."""

    def __init__(
        self,
        store: DefinitionStore,
        checks: Checks,
        runtime: Runtime,
        *,
        sizes: Sizes | None = None,
        preview: Preview | None = None,
    ) -> None:
        self._store = store
        self._checks = checks
        self._runtime = runtime
        self._sizes = sizes
        self._preview = preview

    async def plan(self, written: Sequence[Written], scope: Scope, flaws: Sequence[Flaw] = ()) -> Plan:
        """
        Compare what was written with what is stored; `flaws` are those of reading it, which stay in the plan.

        Raises:
            BadScope: a part cannot be pruned.
            Unreachable, AccessRefused: the store cannot be read.
        """
        if scope.prune and not scope.whole:
            raise BadScope(
                "only the whole project can be pruned, and this is a part of it: name no path, or the folder of "
                "definitions itself (`definitions` in obverse.toml)"
            )
        found = await self._store.read()
        stored = {one.document.key: one for one in found.entries}
        # Names alone count here: whatever a document is like that cannot be used, somebody wrote it.
        named = {key for one in written if (key := named_key(one.tree)) is not None}
        lacking = [
            one
            for key, one in stored.items()
            if scope.whole and one.project == scope.project and key not in named and Key(*key[:2]) not in named
        ]
        checked = self._checked(written, stored, {one.document.key for one in lacking}, scope)
        wrong = sorted([*flaws, *checked.flaws, *self._edited(stored.values(), checked)])
        changes = [await self._told_of_drift(one) for one in _changes(checked, stored)]
        changes += [_removal(one) for one in lacking if scope.prune]
        return Plan(
            scope=scope,
            set_version=found.version,
            changes=() if wrong else await self._sized(changes, checked),
            kept=() if scope.prune else lacking,
            flaws=wrong,
        )

    def _checked(
        self, written: Sequence[Written], stored: Mapping[Key, Entry], lacking: Collection[Key], scope: Scope
    ) -> Checked:
        # What the files of a whole project refer to is theirs, or another project's: else they would end with a prune.
        checked = check(written, self._checks, [one.document for key, one in stored.items() if key not in lacking])
        if scope.prune or not lacking or checked.flaws:
            return checked
        return check(written, self._checks, [one.document for one in stored.values()])

    async def _told_of_drift(self, change: PlannedChange) -> PlannedChange:
        if change.stored is None or change.document is None:
            return change
        before = await self._store.history(limit=_REMEMBERED, of=change.key)
        said = change.document.tree
        texts = [one.text for one in before if one.set_version < change.stored.changed_in and one.text is not None]
        drifted = any(same(Document(change.key, text).tree, said) for text in texts)
        return replace(change, drifted=drifted)

    def _edited(self, stored: Iterable[Entry], checked: Checked) -> list[Flaw]:
        if checked.definitions is None or not checked.definitions.tracking_plans:
            return []
        try:
            before = read_documents((one.document for one in stored), self._checks.kinds)
        except BadDefinition:
            return []  # what nobody can read accepts nothing that could be turned away; this mends it
        return list(edits(before, checked))

    async def _sized(self, changes: Sequence[PlannedChange], checked: Checked) -> list[PlannedChange]:
        names = [one.key.name for one in changes if one.key.kind == "audience"]
        before = await self._sizes(names) if self._sizes is not None and names else {}
        after: Mapping[str, int] = {}
        if self._preview is not None and checked.definitions is not None:
            after = await self._preview(checked.definitions, _foreseeable(checked.definitions, changes))
        return [
            one
            if one.key.kind != "audience"
            else replace(
                one,
                size_before=before.get(one.key.name, 0 if self._sizes else None) if one.stored else 0,
                size_after=0 if one.action == "remove" else after.get(one.key.name),
            )
            for one in changes
        ]

    async def apply(self, plan: Plan, by: str) -> int:
        """
        Write what was planned, all at once; returns the version of the definitions then.

        Raises:
            BadDefinition: there are flaws, a line each.
            LostRace: somebody else wrote since it was planned; nothing was changed.
            Unreachable, AccessRefused: the store cannot be written. If the answer was lost, a new plan tells.
        """
        if plan.flaws:
            raise BadDefinition(told(plan.flaws))
        if not plan.changes:
            return plan.set_version
        return await self._store.write(
            plan.set_version,
            [one.document for one in plan.changes if one.document is not None],
            [one.key for one in plan.changes if one.document is None],
            author=Author(project=plan.scope.project, name=by, now=self._runtime.now()),
        )


def _foreseeable(after: Definitions, changes: Sequence[PlannedChange]) -> list[str]:
    """Audiences that change, but those that look at a trait which does: nobody has a value of that yet."""
    traits = {one.key.name for one in changes if one.key.kind == "trait"}
    audiences = conditions_of(after.audiences)
    return [
        name
        for name in (one.key.name for one in changes if one.key.kind == "audience" and one.document is not None)
        if not any(kind == TRAIT and seen in traits for kind, seen in subjects(audiences[name], audiences))
    ]


def _changes(checked: Checked, stored: Mapping[Key, Entry]) -> Iterator[PlannedChange]:
    for key, document in sorted(checked.documents.items()):
        known, one = stored.get(key), checked.written[key]
        place = f"{one.file}:{one.at(())[0]}"
        if known is None:
            yield PlannedChange(action="add", key=key, place=place, document=document)
        elif fields := list(differences(known.document.tree, document.tree)):
            yield PlannedChange(action="change", key=key, place=place, document=document, fields=fields, stored=known)


def _removal(entry: Entry) -> PlannedChange:
    return PlannedChange(action="remove", key=entry.document.key, place="", document=None, stored=entry)
