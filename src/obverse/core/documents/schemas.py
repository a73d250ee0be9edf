"""JSON Schemas of documents, made of the shapes that they are read with: editors complete and check by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from obverse.core.conditions.schema import CONDITION, EVENT_CONDITION, condition_schemas
from obverse.core.documents import SPECS, VERSION, DocumentShape, expected
from obverse.core.documents.traits import SQL_EXPECTED, SqlTraitSpec, TraitSpec
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
    for where, spec, name in _WHERE:
        parts = found[where]["$defs"]
        parts[spec]["properties"]["where"] = {"$ref": f"#/$defs/{name}"}
        parts.update(condition_schemas())
    return found


_WHERE: Final = (
    ("audience", SPECS["audience"].__name__, CONDITION),
    ("trait", TraitSpec.__name__, EVENT_CONDITION),
)
"""By kind, the shape that has a `where`, and what stands there."""


def _schema(kind: str) -> dict[str, Any]:
    shapes = {SPECS[kind]: expected(SPECS[kind])}
    if SPECS[kind] is TraitSpec:
        shapes[SqlTraitSpec] = SQL_EXPECTED
    (document, spec, *others), parts = msgspec.json.schema_components(
        [DocumentShape, *shapes], ref_template="#/$defs/{name}"
    )
    head = parts.pop(document["$ref"].rpartition("/")[2])
    for part in parts.values():
        part.pop("title", None)  # a name of ours
    for shape, said in shapes.items():
        parts[shape.__name__]["description"] = said
    for other in others:
        spec = {"if": {"required": ["sql"]}, "then": other, "else": spec}
    return {
        "$schema": DIALECT,
        **head,
        "title": kind,
        "description": expected(DocumentShape),
        "properties": {**head["properties"], "kind": {"const": kind}, "spec": spec},
        "$defs": parts,
    }
