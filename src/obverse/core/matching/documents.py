"""A definition of the kind `matching`, as it is written, and the rules that it makes."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from obverse.core.matching.fields import Field, Kind, MatchingRules, Tiers, replaced

EXPECTED: Final = (
    "matching may have `merge_exact`, true or false, `tiers` (exact, strict, loose: a probability each, such as 0.9), "
    "and `fields`, each `none`, or `kind` (" + ", ".join(Kind) + ") with `attributes`, a list of names"
)
_Probability = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_Path = Annotated[str, msgspec.Meta(min_length=1)]


class FieldSpec(msgspec.Struct, forbid_unknown_fields=True):
    """One field."""

    kind: Kind
    attributes: Annotated[list[_Path], msgspec.Meta(min_length=1)]


class TiersSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The least probability of each tier; what is not said stays."""

    exact: _Probability | None = None
    strict: _Probability | None = None
    loose: _Probability | None = None


class MatchingSpec(msgspec.Struct, forbid_unknown_fields=True):
    """What the document says."""

    merge_exact: bool | None = None
    tiers: TiersSpec = msgspec.field(default_factory=TiersSpec)
    fields: dict[str, FieldSpec | Literal["none"]] = {}


class BadMatching(ValueError):
    """Rules that cannot be used; the message names the place and what to write."""


def rules_of(spec: MatchingSpec, before: MatchingRules) -> MatchingRules:
    """
    The rules with what a document says; several documents add up.

    Raises:
        BadMatching: they contradict themselves.
    """
    tiers = Tiers(
        exact=spec.tiers.exact or before.tiers.exact,
        strict=spec.tiers.strict or before.tiers.strict,
        loose=spec.tiers.loose or before.tiers.loose,
    )
    if not tiers.loose <= tiers.strict <= tiers.exact:
        raise BadMatching(
            f"spec.tiers: loose is {tiers.loose:g}, strict {tiers.strict:g} and exact {tiers.exact:g}; "
            "a surer tier needs a higher probability"
        )
    fields = replaced(before, {name: _field(name, one, before) for name, one in spec.fields.items()})
    if not fields:
        raise BadMatching("spec.fields: none is left to compare people by; leave one")
    for kind in (Kind.GIVEN_NAME, Kind.FAMILY_NAME):
        same = [one.name for one in fields if one.kind is kind]
        if len(same) > 1:
            raise BadMatching(f"spec.fields: {' and '.join(same)} are both of kind {kind}; leave one")
    merge_exact = before.merge_exact if spec.merge_exact is None else spec.merge_exact
    return MatchingRules(fields=fields, tiers=tiers, merge_exact=merge_exact)


def _field(name: str, spec: FieldSpec | str, before: MatchingRules) -> Field | None:
    if isinstance(spec, str):
        return None
    known = next((one for one in before.fields if one.name == name and one.kind is spec.kind), None)
    # Identifiers say what they said, wherever attributes are looked for.
    return Field(name, spec.kind, tuple(spec.attributes), None if known is None else known.identifier)
