"""What a plan says, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from obverse.core import times
from obverse.core.documents.written import Key
from obverse.core.flaws import printable
from obverse.flows.apply_definitions import Plan, PlannedChange

_SIGNS: Final = {"add": "+", "change": "~", "remove": "-"}
_LONGEST: Final = 60
"""Characters of a value that are shown."""


def in_words(plan: Plan) -> str:
    """Each change with its fields, and what there is to do in all."""
    lines = [line for one in plan.changes for line in _lines(one)]
    counts = Counter(one.action for one in plan.changes)
    if plan.changes:
        lines.append(f"{counts['add']} to add, {counts['change']} to change, {counts['remove']} to remove.")
    else:
        lines.append("Nothing to do: what is in force says the same.")
    if plan.kept:
        kept = ", ".join(one.document.key.title for one in plan.kept)
        lines.append(f"Stored, and in none of the files (--prune removes it): {kept}")
    return "\n".join(lines) + "\n"


def _lines(one: PlannedChange) -> Iterator[str]:
    yield f"{_SIGNS[one.action]} {one.key.title}" + (f"  ({printable(one.place)})" if one.place else "")
    for field in one.fields:
        yield f"    {printable(field.path)}: {_value(field.before)} -> {_value(field.after)}"
    if one.key.kind == "audience":
        yield f"    people: {_size(one.size_before)} -> {_size(one.size_after)}"
    if one.stored is not None:
        since = f"stored by {printable(one.stored.changed_by)} of project {one.stored.project}"
        yield f"    {since}, {times.to_text(one.stored.changed_at)}"
    if one.drifted:
        yield "    drift: these files say what was stored before that; `obverse pull` takes the change over, and"
        yield "    `obverse apply` undoes it"


def _size(size: int | None) -> str:
    return "?" if size is None else f"{size:,}"


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value).decode()
    return printable(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def as_tree(plan: Plan) -> dict[str, Any]:
    """The same for programs."""
    return {
        "set_version": plan.set_version,
        "changes": [
            {
                "action": one.action,
                **of_key(one.key),
                "place": one.place or None,
                "fields": [{"path": field.path, "before": field.before, "after": field.after} for field in one.fields],
                "size_before": one.size_before,
                "size_after": one.size_after,
                "drifted": one.drifted,
                "stored": None
                if one.stored is None
                else {
                    "project": one.stored.project,
                    "changed_by": one.stored.changed_by,
                    "changed_at": times.to_text(one.stored.changed_at),
                },
            }
            for one in plan.changes
        ],
        "kept": [of_key(one.document.key) for one in plan.kept],
        "flaws": plan.flaws,
    }


def of_key(key: Key) -> dict[str, Any]:
    """What a definition is told by."""
    return {"kind": key.kind, "name": key.name, "version": key.version or None}
