"""Documents of the kind `identity`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

import msgspec

from obverse.core.definitions import BadDefinition
from obverse.core.documents.reading import read_as
from obverse.core.identity import (
    ID,
    KINDS,
    KNOWN,
    OTHERS,
    PRESETS,
    IdentityRules,
    Kind,
    Limit,
    Spelling,
    edge_key,
    is_region,
)

_DAY: Final = 24 * 3600
_KIND: Final = re.compile(r"[a-z][a-z0-9_.]{0,39}")
_Count = Annotated[int, msgspec.Meta(ge=1)]


class _LimitSpec(msgspec.Struct, forbid_unknown_fields=True):
    values: _Count
    within_days: _Count | None = None


class _KindSpec(msgspec.Struct, forbid_unknown_fields=True):
    spelling: Spelling | None = None
    region: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None


class IdentitySpec(msgspec.Struct, forbid_unknown_fields=True):
    """What the document says."""

    preset: Literal["segment", "unique_user_id", "profile_conversion", "profile_isolation"] | None = None
    blocked: list[str] = []
    kinds: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    unique: list[str] = []
    apart: list[Annotated[list[str], msgspec.Meta(min_length=2, max_length=2)]] = []
    merges: Annotated[int, msgspec.Meta(ge=0)] | None = None
    identifiers: _Count | None = None
    shared: Annotated[int, msgspec.Meta(ge=2)] | Literal["none"] | None = None


EXPECTED: Final = (
    "identity rules may have `preset` (segment, unique_user_id, profile_conversion or profile_isolation), "
    "`blocked`, a list of texts, `kinds`, by name (small letters, digits, _ and .) each with `spelling` (as_sent, "
    "lower_case, email or phone) and `region`, such as GB, `limits`, by kind each `none` or `values` and perhaps "
    "`within_days`, `apart`, pairs of identifiers as `kind:value`, `unique`, a list of kinds, `merges` and "
    "`identifiers`, how many one profile may have, and `shared`, how many profiles may share an identifier, or `none`"
)


def identity_rules(tree: Any, before: IdentityRules) -> IdentityRules:
    """
    Read the `spec` of a document; several add up, and of two that speak of one thing the later one holds.

    Raises:
        BadDefinition: names the place, what is wrong there and what to write.
    """
    spec = read_as(IdentitySpec, tree, "spec", EXPECTED)
    if spec.preset is not None:
        before = replace(PRESETS[spec.preset], blocked=before.blocked, added=before.added, apart=before.apart)
    added = {kind.name: kind for kind in before.added} | {name: _kind(name, tree) for name, tree in spec.kinds.items()}
    limits = dict(before.limits)
    if before.limits:  # a preset without limits has none for these either
        limits |= {name: OTHERS for name in spec.kinds if name not in limits}
    known = {*KINDS, *added}
    for place, names in (("limits", spec.limits), ("unique", spec.unique)):
        for name in names:
            if name not in known:
                raise BadDefinition(
                    f"spec.{place}: {name!r} is no kind of identifier; use one of {', '.join(sorted(known))}, or name "
                    "it under `kinds`"
                )
    for name, said in spec.limits.items():
        if said == "none":
            limits.pop(name, None)
        else:
            limit = read_as(_LimitSpec, said, f"spec.limits.{name}", EXPECTED)
            limits[name] = Limit(limit.values, None if limit.within_days is None else limit.within_days * _DAY)
    rules = IdentityRules(
        blocked=before.blocked | frozenset(spec.blocked),
        limits=limits,
        merges=before.merges if spec.merges is None else spec.merges,
        identifiers=spec.identifiers or before.identifiers,
        shared=before.shared if spec.shared is None else None if spec.shared == "none" else spec.shared,
        added=tuple(kind for _, kind in sorted(added.items())),
        unique=before.unique | frozenset(spec.unique),
        isolated=before.isolated,
        apart=before.apart,
    )
    return replace(rules, apart=rules.apart | {_apart(place, pair, rules) for place, pair in enumerate(spec.apart)})


def _apart(place: int, pair: Sequence[str], rules: IdentityRules) -> tuple[str, str]:
    ends = []
    for text in pair:
        kind, colon, value = text.partition(":")
        spelt = rules.spelt(kind, value) if colon and kind in rules.kinds else None
        if not spelt:
            raise BadDefinition(
                f"spec.apart[{place}]: {text!r} is no identifier; write kind:value, with a kind of "
                f"{', '.join(rules.kinds)}"
            )
        ends.append(f"{kind}:{spelt}")
    return edge_key(*ends)


def _kind(name: str, tree: Any) -> Kind:
    spec = read_as(_KindSpec, tree, f"spec.kinds.{name}", EXPECTED)
    if _KIND.fullmatch(name) is None:
        raise BadDefinition(
            f"spec.kinds: {name!r} is no name of a kind; write at most 40 small letters, digits, _ and ."
        )
    if name in KINDS or name in {ID, "group_id"}:
        raise BadDefinition(f"spec.kinds: {name!r} means something already; choose another name")
    known = KNOWN.get(name, Kind(name))
    kind = Kind(name, spec.spelling or known.spelling, spec.region)
    if kind.region is not None and kind.spelling != "phone":
        raise BadDefinition(f"spec.kinds.{name}: `region` is for `spelling: phone` alone; remove it")
    if kind.region is not None and not is_region(kind.region):
        raise BadDefinition(f"spec.kinds.{name}.region: {kind.region!r} is no country; write two letters, such as GB")
    return kind
