"""Mending: what can be read of a document that is not of its shape, so that its other flaws are told too."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obverse.core.documents.shapes import Misshapen
from obverse.core.documents.written import Path

UNNAMED: Final = "unnamed"
"""What stands for a name that is none."""


@dataclass(slots=True)
class Mended:
    """A document as it was probably meant."""

    tree: dict[str, Any]
    lacking: set[Path] = field(default_factory=set)
    """Mappings of which something is missing now: what is wrong with them as a whole may come of that."""

    def blames(self, path: Path) -> bool:
        """Whether a flaw at this path may come of what is missing."""
        return any(one[: len(path)] == path for one in self.lacking)


def mend(tree: Any, flaws: Sequence[Misshapen], version: str) -> Mended | None:
    """
    Take out what is not of its shape, and put right what was misspelled; None if too little is left to read.

    >>> flaw = Misshapen(("spec", "evnt"), "OB012", "", by_name=True, meant="event")
    >>> mend({"kind": "trait", "spec": {"evnt": "x"}}, [flaw], "obverse/v1").tree["spec"]
    {'event': 'x'}
    """
    if not isinstance(tree, dict):
        return None
    found = Mended(copy.deepcopy(tree))
    for flaw in flaws:
        # An item that is taken out of a list would move those after it.
        if any(isinstance(part, int) for part in flaw.path):
            return None
        if flaw.path:
            _take_out(found, flaw)
    mended = found.tree
    if not isinstance(mended.get("kind"), str) or not isinstance(mended.get("spec"), dict):
        return None
    mended["version"] = version
    metadata = mended.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    mended["metadata"] = {"name": name if isinstance(name, str) else UNNAMED}
    return found


def _take_out(found: Mended, flaw: Misshapen) -> None:
    *around, name = flaw.path
    if flaw.rule == "OB013":
        found.lacking.add(flaw.path)
        return
    mapping: Any = found.tree
    for part in around:
        mapping = mapping.get(part) if isinstance(mapping, dict) else None
    if not isinstance(mapping, dict) or name not in mapping:
        return  # what stands in several places by an alias was taken out with the first
    value = mapping.pop(name)
    if flaw.meant is not None and flaw.by_name:
        mapping.setdefault(flaw.meant, value)
    else:
        found.lacking.add(tuple(around))
