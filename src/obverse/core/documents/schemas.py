"""JSON Schemas of documents, made of the shapes that they are read with: editors complete and check by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from obverse.core.documents import SPECS, VERSION, DocumentShape, expected
from obverse.core.documents.traits import TraitSpec
from obverse.core.traits.kind import TraitKind
from obverse.core.traits.parameters import parameters_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ANY: Final = "definition"
"""The schema of a document of any kind."""


def schemas(kinds: Mapping[str, TraitKind]) -> dict[str, dict[str, Any]]:
    """By kind, the schema of its documents; and under `definition` one that tells the kinds apart."""
    found = {kind: _schema(kind) for kind in SPECS}
    traits = found["trait"]["$defs"][TraitSpec.__name__]["properties"]
    traits["aggregate"] = {"enum": sorted(kinds)}
    for kind in kinds.values():
        for name, one in parameters_of(kind).items():
            bounds = {"minimum": float(one.least), "maximum": float(one.most)}
            traits[name] = {"type": "integer" if one.type is int else "number", **bounds}
    choices = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"{kind}.schema.json"}} for kind in SPECS
    ]
    found[ANY] = {
        "$schema": DIALECT,
        "title": "definition",
        "description": expected(DocumentShape),
        "type": "object",
        "properties": {"version": {"const": VERSION}, "kind": {"enum": list(SPECS)}},
        "required": ["version", "kind", "metadata", "spec"],
        "allOf": choices,
    }
    return found


def _schema(kind: str) -> dict[str, Any]:
    (document, spec), parts = msgspec.json.schema_components(
        [DocumentShape, SPECS[kind]], ref_template="#/$defs/{name}"
    )
    head = parts.pop(document["$ref"].rpartition("/")[2])
    for part in parts.values():
        part.pop("title", None)  # a name of ours
    parts[spec["$ref"].rpartition("/")[2]]["description"] = expected(SPECS[kind])
    return {
        "$schema": DIALECT,
        **head,
        "title": kind,
        "description": expected(DocumentShape),
        "properties": {**head["properties"], "kind": {"const": kind}, "spec": spec},
        "$defs": parts,
    }
