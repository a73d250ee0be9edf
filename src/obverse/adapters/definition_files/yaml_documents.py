"""
YAML as people write it, hostile or not: trees of JSON's values, with the place of every value and every name.

Read from the parser's events, and not by a loader, which forgets places, takes a name twice without a word, lets
dates in, and follows whatever refers to itself.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from obverse.core.documents.written import Path, Written
from obverse.core.flaws import Flaw
from obverse.core.json_values import DIGITS

MOST_BYTES: Final = 4 << 20
"""Of one file."""
MOST_VALUES: Final = 200_000
"""In one document, with all that aliases repeat."""
DEEPEST: Final = 128
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = {_TAG + kind for kind in ("str", "int", "float", "bool", "null")}
_MERGE: Final = _TAG + "merge"
_FURTHEST: Final = 10**DIGITS


class _Unusable(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, mark: Any, rule: str, what: str) -> None:
        super().__init__(what)
        self.mark = mark
        self.rule = rule


@dataclass(slots=True)
class _Value:
    """A value, with what is known of it for aliases."""

    value: Any
    count: int = 1
    depth: int = 1


@dataclass(slots=True)
class _Open:
    """A list or a mapping that is being read."""

    of: _Value
    path: Path
    anchor: str | None
    name: str | None = None
    """Of a mapping: the name whose value comes next."""
    named: bool = False
    merging: bool = False
    """Whether that name is `<<`."""
    merged: list[dict[str, Any]] = field(default_factory=list)
    """Mappings that `<<` names: what they say holds where it is not said otherwise."""

    @property
    def is_list(self) -> bool:
        return isinstance(self.of.value, list)


def read_documents(data: bytes, file: str) -> tuple[list[Written], list[Flaw]]:
    """The documents of a file, and every flaw that could be found before it became unreadable."""
    reader = _Reader(file)
    try:
        reader.read(_text(data))
    except _Unusable as error:
        reader.tell(error.mark, error.rule, str(error))
    except yaml.YAMLError as error:
        reader.tell(*_syntax(error, data))
    if not reader.documents and not reader.flaws:
        reader.tell((1, 1), "OB007", "there is no document in this file; write one, or remove the file")
    return reader.documents, reader.flaws


def _text(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _Unusable((1, 1), "OB005", f"the file has {len(data)} bytes, and {MOST_BYTES} at most are read; split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        mark = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        raise _Unusable(
            mark, "OB001", f"the byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        ) from error


def _syntax(error: yaml.YAMLError, data: bytes) -> tuple[Any, str, str]:
    text = data.decode("utf-8-sig")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        position = getattr(error, "position", 0)
        # libyaml counts bytes, and PyYAML without it characters.
        before = text.encode()[:position].decode("utf-8", "ignore") if yaml.__with_libyaml__ else text[:position]
        place = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        said = str(getattr(error, "reason", error))
        return place, "OB002", f"no YAML: {said}; remove the character, or write it as an escape in double quotes"
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return (mark.line + 1, line.index("\t") + 1), "OB003", "a tab indents this line; use spaces"
    problem = " ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None))))
    return mark, "OB002", f"no YAML: {problem}; look at this line and the one before it"


class _Reader:
    """Puts a file's events together."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.documents: list[Written] = []
        self.flaws: list[Flaw] = []
        self._resolver: Any = yaml.SafeLoader("")
        self._begin()

    def _begin(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, _Value | None] = {}
        """None while what it names is being read."""
        self._values: dict[Path, tuple[int, int]] = {}
        self._names: dict[Path, tuple[int, int]] = {}
        self._count = 0

    def read(self, text: str) -> None:
        """Read all of it."""
        for event in yaml.parse(text, Loader=_Loader):
            match event:
                case yaml.DocumentStartEvent():
                    self._begin()
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._enter(event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._leave(event)
                case yaml.ScalarEvent():
                    self._take(self._scalar(event), event)
                case yaml.AliasEvent():
                    self._take(self._alias(event), event)

    def tell(self, mark: Any, rule: str, what: str) -> None:
        """Note a flaw."""
        line, column = mark if isinstance(mark, tuple) else (mark.line + 1, mark.column + 1)
        self.flaws.append(Flaw(file=self._file, line=line, column=column, rule=rule, what=what))

    # Values.

    def _enter(self, event: Any) -> None:
        if len(self._open) >= DEEPEST:
            raise _Unusable(event.start_mark, "OB005", f"nested deeper than {DEEPEST} levels; use fewer")
        if self._open and not self._open[-1].is_list and not self._open[-1].named:
            what = "a list or a mapping cannot be a name; write a text before the colon"
            raise _Unusable(event.start_mark, "OB006", what)
        if event.tag is not None and event.tag not in {_TAG + "map", _TAG + "seq"}:
            self.tell(event.start_mark, "OB006", f"the tag {event.tag!r} means nothing here; remove it")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        path = self._place(event.start_mark)
        self._open.append(_Open(_Value(value), path, event.anchor))

    def _leave(self, event: Any) -> None:
        done = self._open.pop()
        for merged in done.merged:
            for name, value in merged.items():
                done.of.value.setdefault(name, value)
        if done.anchor is not None:
            self._anchors[done.anchor] = done.of
        self._put(done.of, event)

    def _scalar(self, event: Any) -> _Value:
        tag = event.tag or self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        value = _Value(self._constructed(tag, event))
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _constructed(self, tag: str, event: Any) -> Any:
        if tag == _MERGE:
            return _MERGE if self._awaits_name else event.value
        if tag not in _PLAIN:
            is_time = tag == _TAG + "timestamp"
            what = f"{event.value[:50]!r} is a date to YAML" if is_time else f"the tag {tag!r} means nothing here"
            self.tell(event.start_mark, "OB006", f"{what}; {'put it in quotes' if is_time else 'remove it'}")
            return event.value
        try:
            value = self._resolver.yaml_constructors[tag](self._resolver, yaml.ScalarNode(tag, event.value))
        except KeyError:  # what a tag calls true or false, and is neither
            self.tell(event.start_mark, "OB006", f"{event.value[:50]!r} is neither true nor false; write one of them")
            return False
        except (ValueError, IndexError):  # PyYAML looks at the first digit, and a tag may call a number what has none
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            self.tell(event.start_mark, "OB006", f"{event.value[:50]!r} is no number of JSON; put it in quotes")
            return 0
        if isinstance(value, int) and not -_FURTHEST < value < _FURTHEST:
            self.tell(event.start_mark, "OB006", f"a number has {DIGITS} digits at most; put a longer one in quotes")
            return 0
        return value

    def _alias(self, event: Any) -> _Value:
        if event.anchor not in self._anchors:
            raise _Unusable(
                event.start_mark, "OB002", f"`*{event.anchor}` names nothing; write `&{event.anchor}` before it"
            )
        meant = self._anchors[event.anchor]
        if meant is None:
            raise _Unusable(event.start_mark, "OB005", f"`*{event.anchor}` stands in what it names; write it out")
        if len(self._open) + meant.depth > DEEPEST:
            raise _Unusable(event.start_mark, "OB005", f"nested deeper than {DEEPEST} levels by an alias; use fewer")
        self._grow(meant.count, event.start_mark)
        return _Value(copy.deepcopy(meant.value), meant.count, meant.depth)

    def _grow(self, count: int, mark: Any) -> None:
        self._count += count
        if self._count > MOST_VALUES:
            raise _Unusable(
                mark, "OB005", f"more than {MOST_VALUES} values, with what aliases repeat; split the document"
            )

    # Places.

    @property
    def _awaits_name(self) -> bool:
        return bool(self._open) and not self._open[-1].is_list and not self._open[-1].named

    def _place(self, mark: Any) -> Path:
        """The path of the value that begins here."""
        if not self._open:
            path: Path = ()
        else:
            around = self._open[-1]
            part = len(around.of.value) if around.is_list else around.name
            path = around.path if part is None else (*around.path, part)
        self._values.setdefault(path, (mark.line + 1, mark.column + 1))
        return path

    def _take(self, value: _Value, event: Any) -> None:
        if not self._awaits_name:
            self._place(event.start_mark)
            self._put(value, event)
            return
        around, name = self._open[-1], value.value
        around.named, around.name, around.merging = True, None, name is _MERGE
        if around.merging:
            return
        if not isinstance(name, str):
            self.tell(
                event.start_mark, "OB006", f"a name is a text, and YAML takes this for {_kind(name)}; put it in quotes"
            )
            return
        path = (*around.path, name)
        if name in around.of.value:
            first = self._names[path][0]
            self.tell(event.start_mark, "OB004", f"`{name[:50]}` stands here twice, first in line {first}; remove one")
            return
        around.name = name
        around.of.value[name] = None
        self._names[path] = (event.start_mark.line + 1, event.start_mark.column + 1)

    def _put(self, value: _Value, event: Any) -> None:
        if value.depth == value.count == 1:
            self._grow(1, event.start_mark)
        if not self._open:
            if value.value is not None:  # nothing but remarks
                self.documents.append(Written(self._file, value.value, self._values, self._names))
            return
        around = self._open[-1]
        around.of.count += value.count
        around.of.depth = max(around.of.depth, value.depth + 1)
        if around.is_list:
            around.of.value.append(value.value)
            return
        if around.name is not None:
            around.of.value[around.name] = value.value
        elif around.merging:
            around.merged += self._mappings(value.value, event)
        around.named = False

    def _mappings(self, value: Any, event: Any) -> list[dict[str, Any]]:
        ones = value if isinstance(value, list) else [value]
        found = [one for one in ones if isinstance(one, dict)]
        if len(found) < len(ones):
            what = "`<<` takes in mappings alone, such as `*NAME` of one; put it in quotes if it is a name"
            self.tell(event.start_mark, "OB006", what)
        return found


def _kind(value: Any) -> str:
    return {bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}.get(
        type(value), "a value"
    )
