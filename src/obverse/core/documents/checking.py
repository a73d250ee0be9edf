"""Checking: every flaw of every document that somebody wrote, and not only the first, each with its place."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from obverse.core.definitions import BadDefinition, Definitions
from obverse.core.documents import SPECS, VERSION, DocumentShape, Found, expected
from obverse.core.documents.mending import UNNAMED, Mended, mend
from obverse.core.documents.places import named_in, path_of
from obverse.core.documents.secrets import written_down
from obverse.core.documents.shapes import Misshapen, misshapen
from obverse.core.documents.traits import SqlTraitSpec, TraitSpec, apart, expected_of, is_sql
from obverse.core.documents.written import Document, Key, Path, Written, document, key_of, named_key, order
from obverse.core.flaws import Flaw, nearest
from obverse.core.tracking_plans import BadPlan, TrackingPlan, check_edits, held_sources
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.parameters import parameters_of

MOST: Final = 100
"""Flaws of one document that are told."""
_NAMED: Final = ("metadata", "name")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_OF_HEAD: Final[Mapping[Path, str]] = {("version",): "OB010", ("kind",): "OB011"}
_CHOICE: Final = re.compile(r"(?:use one of |defined: )([^;()]+)")
_QUOTED: Final = re.compile(r"'([^']*)'")
_CIRCLE: Final = re.compile(r"looks at itself: \S+ -> ([^\s;]+)")
_OWNER: Final = re.compile(r"(trait|audience|source|connection|template|campaign|tracking plan) '?([A-Za-z0-9_.-]+)'?")


@dataclass(frozen=True, slots=True)
class Checks:
    """What documents are held against, beside each other."""

    kinds: Mapping[str, TraitKind]
    crms: Collection[str] = ()
    """Adapters that are installed; any, if none is named."""
    secrets: Callable[[str], Collection[str]] = lambda _: ()
    """Of the settings of a CRM's adapter, those that it keeps secret."""


@dataclass(slots=True)
class Checked:
    """What came of it."""

    documents: dict[Key, Document] = field(default_factory=dict)
    """Those that can be used, of those that were written."""
    written: dict[Key, Written] = field(default_factory=dict)
    """Where each of them stands, those that cannot be used too."""
    flaws: list[Flaw] = field(default_factory=list)
    definitions: Definitions | None = None
    """What all of them, and those that were known, define together; None if there is a flaw."""


def check(written: Sequence[Written], checks: Checks, known: Iterable[Document] = ()) -> Checked:
    """
    Hold documents against their shapes, against each other, and against those that are known.

    Of a key that was written the known document counts no more.
    """
    return _Checking(checks).run(written, known)


@dataclass(slots=True)
class _Checking:
    checks: Checks
    done: Checked = field(default_factory=Checked)
    places: dict[str, Written] = field(default_factory=dict)
    """By the name that readers are told."""
    crooked: list[tuple[Written, list[Misshapen]]] = field(default_factory=list)
    """What is not of its shape, or has no name, and why."""

    def run(self, written: Sequence[Written], known: Iterable[Document]) -> Checked:
        sound = [one for one in written if self._sound(one)]
        trees: list[tuple[Key, Written]] = []
        for one in sound:
            key = key_of(one.tree)
            other = self.done.written.setdefault(key, one)
            if other is not one:
                at = f"{other.file}:{other.at(_NAMED)[0]}"
                self._tell(one, _NAMED, "OB020", f"{key.title} is defined in {at} too; rename or remove one")
                continue
            trees.append((key, one))
        trees += [(one.key, _stored(one)) for one in known if one.key not in self.done.written]
        self._read(sorted(trees, key=lambda pair: order(pair[0], pair[1].tree)), written)
        self.done.flaws.sort()
        return self.done

    def _tell(self, one: Written, path: Path, rule: str, what: str, *, by_name: bool = False) -> None:
        line, column = one.at(path, name=by_name)
        self.done.flaws.append(Flaw(file=one.file, line=line, column=column, rule=rule, what=what))

    # Each document by itself.

    def _sound(self, one: Written) -> bool:
        """Whether it is of its shape."""
        before = len(self.done.flaws)
        self.crooked.append((one, []))
        for flaw in misshapen(DocumentShape, one.tree):
            rule = _OF_HEAD.get(flaw.path, flaw.rule)
            self._misshapen(one, replace(flaw, rule=rule), expected(DocumentShape))
        tree = one.tree if isinstance(one.tree, dict) else {}
        spec = SPECS.get(kind) if isinstance(kind := tree.get("kind"), str) else None
        if spec is not None and isinstance(tree.get("spec"), dict):
            self._check_spec(one, spec, tree["spec"])
            if kind == "connection":
                self._connection(one, tree["spec"])
        name = tree["metadata"].get("name") if isinstance(tree.get("metadata"), dict) else None
        if isinstance(name, str) and not _NAME.fullmatch(name):
            what = "metadata.name: this cannot be a name; use letters (a-z), digits, `_`, `-` and `.`, at most 100"
            self._tell(one, _NAMED, "OB015", f"{what}, of which the first is a letter or a digit")
        if len(self.done.flaws) == before:
            self.crooked.pop()
            return True
        return False

    def _check_spec(self, one: Written, shape: type[msgspec.Struct], spec: dict[str, Any]) -> None:
        remedy, said, also = expected(shape), spec, frozenset[str]()
        if shape is TraitSpec and is_sql(spec):
            shape, remedy = SqlTraitSpec, expected_of(spec, self.checks.kinds)
        elif shape is TraitSpec:  # which has fields of its kind too
            kind, _, said = apart(spec, self.checks.kinds)
            remedy = expected_of(spec, self.checks.kinds)
            also = frozenset() if kind is None else frozenset(parameters_of(kind))
        for flaw in misshapen(shape, said, ("spec",), also=also):
            self._misshapen(one, flaw, remedy)

    def _misshapen(self, one: Written, flaw: Misshapen, remedy: str) -> None:
        self.crooked[-1][1].append(flaw)
        place = _text(flaw.path[:-1] if flaw.by_name else flaw.path) or "the document"
        self._tell(one, flaw.path, flaw.rule, f"{place}: {flaw.what}; {remedy}", by_name=flaw.by_name)

    def _connection(self, one: Written, spec: dict[str, Any]) -> None:
        crm = spec.get("crm")
        if not isinstance(crm, str):
            return
        if self.checks.crms and crm not in self.checks.crms:
            what = f"spec.crm: {crm!r} is not installed; use one of {', '.join(sorted(self.checks.crms))}"
            self._tell(one, ("spec", "crm"), "OB021", hinted(what))
            return
        for path, what in written_down(spec.get("settings"), ("spec", "settings"), self.checks.secrets(crm)):
            self._tell(one, path, "OB030", f"{_text(path)}: {what}")

    # All of them together.

    def _read(self, trees: Sequence[tuple[Key, Written]], written: Sequence[Written]) -> None:
        found = Found(self.checks.kinds)
        found.unusable |= {key[:2] for one in written if (key := named_key(one.tree)) is not None}
        for key, one in trees:
            place = f"{key.title} in {one.file}"
            self.places[place] = one
            if self._add(found, place, one) and key in self.done.written:
                self.done.documents[key] = document(one.tree)
        for one, flaws in self.crooked:
            self._read_mended(found, one, flaws)
        for place, error in found.disagreements():
            self._about(self.places[place], "OB021", str(error))
        self._plans(found)
        if not self.done.flaws:
            try:
                self.done.definitions = found.definitions()
            except BadDefinition as error:
                what = str(error)
                circle = _CIRCLE.search(what)
                # What leads around is the next one's name.
                path = named_in(f"'{circle[1]}'", self._owner(what).tree) if circle else None
                self._about(self._owner(what), "OB024" if circle else "OB022", what, path)

    def _read_mended(self, found: Found, one: Written, flaws: Sequence[Misshapen]) -> None:
        """Read what is not of its shape as far as it can be read, to tell its other flaws; it defines nothing."""
        mended = mend(one.tree, flaws, VERSION)
        key = named_key(mended.tree) if mended is not None else None
        if mended is None or key is None or key[:2] in found.places:
            return
        place = f"{key.title} in {one.file}"
        # What adds up, or is held against its other versions, would be wrong in others' eyes for what it lacks here.
        alone = key.kind in _ADDING_UP or key.name == UNNAMED
        self.places[place] = one
        self._add(Found(self.checks.kinds) if alone else found, place, replace(one, tree=mended.tree), mended)

    def _add(self, found: Found, place: str, one: Written, mended: Mended | None = None) -> bool:
        """Read it; after a flaw in one item of a list read on without the item, for there may be more."""
        tree, taken = one.tree, dict[Path, list[int]]()
        for _ in range(MOST):
            try:
                found.add(place, msgspec.convert(tree, DocumentShape))
            except ValueError as error:
                path = path_of(str(error), tree)
                told = _as_written(path, taken)
                if mended is not None and mended.blames(told):
                    return False
                what = _text(told) + str(error).removeprefix(_text(path))
                self._about(one, _rule(what), what, told)
                shorter = _without(tree, path, taken)
                if shorter is None:
                    return False
                tree = shorter
            else:
                return tree is one.tree
        return False

    def _plans(self, found: Found) -> None:
        """Hold each version of a plan against the one before it, and sources to theirs."""
        by_name: dict[str, list[TrackingPlan]] = {name: [] for kind, name in found.unusable if kind == "tracking_plan"}
        for plan in found.plans:
            by_name.setdefault(plan.name, []).append(plan)
        broken = {name for name, plans in by_name.items() if not plans}
        for name, plans in by_name.items():
            try:
                held_sources({}, plans)
            except BadPlan as error:
                broken.add(name)
                self._about(self._owner(str(error)), "OB023", str(error), ("spec", "calls"))
        for source in found.sources:
            if source.tracking_plan is None or source.tracking_plan[0] in broken:
                continue
            sound = (one for name, ones in by_name.items() if name not in broken for one in ones)
            try:
                held_sources({source.name: source.tracking_plan}, sound)
            except BadPlan as error:
                one = self.places[found.places["source", source.name]]
                self._about(one, "OB021", str(error), ("spec", "tracking_plan", "name"))

    def _about(self, one: Written, rule: str, what: str, path: Path | None = None) -> None:
        """Tell what a reader found; where it does not name the place, what it quotes is looked for."""
        if path is None or len(path) < 2:  # noqa: PLR2004 - `spec` alone, or nothing
            path = named_in(what, one.tree) or path or ()
        self._tell(one, path, rule, hinted(what))

    def _owner(self, what: str) -> Written:
        """Whom a message speaks of that names no place."""
        for kind, name in _OWNER.findall(what):
            for key, one in self.done.written.items():
                versioned = not key.version or f"{key.name} {key.version}" in what
                if versioned and (key.kind, key.name) == (kind.replace(" ", "_"), name):
                    return one
        return next(iter(self.places.values()))


def edits(before: Definitions, checked: Checked) -> Iterator[Flaw]:
    """Versions of tracking plans that would turn away what they accept now, changed where they stand."""
    for plan in checked.definitions.tracking_plans if checked.definitions else ():
        try:
            check_edits(before.tracking_plans, [plan])
        except BadPlan as error:
            title = plan.title.split(" ")
            one = checked.written.get(Key("tracking_plan", *title))
            line, column = one.at(("spec", "calls")) if one else (0, 0)
            yield Flaw(file=one.file if one else _STORE, line=line, column=column, rule="OB023", what=str(error))


_ADDING_UP: Final = frozenset({"identity", "matching", "tracking_plan"})
_STORE: Final = "the store"


def _stored(one: Document) -> Written:
    return Written(f"{_STORE} ({one.key.title})", one.tree)


def _rule(what: str) -> str:
    return "OB021" if "is not defined" in what else "OB016"


def _text(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def hinted(what: str) -> str:
    """
    A message that lists what may be written, and quotes what was, with which of them was probably meant.

    >>> hinted("spec.aggregate: 'cuont' is not known; use one of count, sum")
    "spec.aggregate: 'cuont' is not known; use one of count, sum; did you mean `count`?"
    """
    choices = _CHOICE.search(what)
    if choices is None or "did you mean" in what:
        return what
    listed = [one.strip() for one in choices[1].split(",")]
    for quoted in reversed(_QUOTED.findall(what[: choices.start()])):
        meant = nearest(quoted, listed)
        if meant is not None:
            return f"{what}; did you mean `{meant}`?"
    return what


def _without(tree: Any, path: Path, taken: dict[Path, list[int]]) -> Any:
    """The tree without the innermost item of a list that the path leads through; None if none can go."""
    for length in range(len(path), 0, -1):
        place, around = path[length - 1], path[: length - 1]
        if isinstance(place, int):
            shorter = copy.deepcopy(tree)
            items = shorter
            for part in around:
                items = items[part]
            if len(items) == 1:  # an empty list would be another flaw
                return None
            del items[place]
            gone = taken.setdefault(_as_written(around, taken), [])
            gone.append(_shifted(place, gone))
            return shorter
    return None


def _as_written(path: Path, taken: Mapping[Path, Sequence[int]]) -> Path:
    """The path in the tree as it was written, before items were taken out."""
    said: Path = ()
    for part in path:
        said = (*said, _shifted(part, taken.get(said, ())) if isinstance(part, int) else part)
    return said


def _shifted(place: int, gone: Sequence[int]) -> int:
    for one in sorted(gone):
        place += one <= place
    return place
