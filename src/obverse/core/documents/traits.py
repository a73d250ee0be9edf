"""Traits, as documents define them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import asdict

from obverse.core.definitions import BadDefinition, Trait
from obverse.core.documents.reading import read_as
from obverse.core.events import TYPES
from obverse.core.traits.kind import Takes, TraitKind


class TraitSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The `spec` of a trait."""

    aggregate: str
    event: str | None = None
    type: str = "track"
    property: str | None = None
    field: Literal["timestamp"] | None = None


EXPECTED: Final = "a trait has `aggregate`, and may have `type`, `event`, `property` or `field: timestamp`"
_UNREADABLE: Final = re.compile(r'["\\\x00-\x1f]')


def trait(name: str, description: str, tree: Any, kinds: Mapping[str, TraitKind]) -> Trait:
    """
    The trait that a document's `spec` defines.

    Raises:
        BadDefinition: names the place below `spec`, what is wrong there and what to write.
    """
    spec = read_as(TraitSpec, tree, "spec", EXPECTED)
    kind = kinds.get(spec.aggregate)
    if kind is None:
        raise BadDefinition(f"spec.aggregate: {spec.aggregate!r} is not known; use one of {', '.join(sorted(kinds))}")
    if spec.type not in TYPES:
        raise BadDefinition(f"spec.type: {spec.type!r} is no call; use one of {', '.join(sorted(TYPES))}")
    if kind.takes is not Takes.NOTHING and (spec.property is None) == (spec.field is None):
        raise BadDefinition(
            f"spec: `{spec.aggregate}` needs a value: give `property: NAME` or `field: timestamp`, and not both"
        )
    if kind.takes is Takes.NOTHING and (spec.property, spec.field) != (None, None):
        raise BadDefinition(f"spec: `{spec.aggregate}` takes no value; remove `property` and `field`")
    if spec.property is not None and _UNREADABLE.search(spec.property):
        raise BadDefinition(f"spec.property: {spec.property!r} has a quote, a backslash or a control character in it")
    # Only what was said, so that a field which a later release adds does not make every state start anew.
    plain = TraitSpec(spec.aggregate)
    said = {part: value for part, value in asdict(spec).items() if value != getattr(plain, part)}
    digest = blake2b(msgspec.json.encode(said), digest_size=4).hexdigest()
    return Trait(
        name=name,
        kind=kind,
        key=f"{spec.aggregate}:{name}:{digest}",
        type=spec.type,
        event=spec.event,
        property=spec.property,
        field=spec.field,
        description=description,
    )
