"""Traits, as documents define them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import asdict

from obverse.core import json_values, queries, spans
from obverse.core.conditions import BadCondition, Condition, as_tree, did_you_mean, parse_event
from obverse.core.conditions.parsing import UNREADABLE
from obverse.core.definitions import BadDefinition, Trait
from obverse.core.documents.reading import read_as
from obverse.core.events import TYPES
from obverse.core.queries import BadQuery, Query
from obverse.core.traits import windows
from obverse.core.traits.calendars import PERIODS, Calendar, zone_names, zone_of
from obverse.core.traits.kind import Takes, TraitKind
from obverse.core.traits.moments import Given
from obverse.core.traits.parameters import BadParameter, made_with, parameters_of
from obverse.core.traits.windows import Periodic, Sliding, Windowed


class WindowSpec(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The `window` of a trait: one of both."""

    last: str | None = None
    calendar: str | None = None
    time_zone: str | None = None


class TraitSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The `spec` of a trait."""

    aggregate: str
    event: str | None = None
    type: str = "track"
    property: str | None = None
    field: Literal["timestamp"] | None = None
    where: Any = None
    window: WindowSpec | None = None


class SqlTraitSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The `spec` of a trait whose values a query gives."""

    sql: str
    every: str
    engine: Literal["postgres", "duckdb"] = "postgres"


LEAST_EVERY: Final = spans.MINUTE
SQL_EXPECTED: Final = (
    "a trait with `sql` has `every`, such as `every: 1 hour`, may have `engine: postgres` or `engine: duckdb`, and "
    "nothing else: what is computed stands in the query"
)
EXPECTED: Final = (
    "a trait has `aggregate`, and may have `type`, `event`, `property` or `field: timestamp`, `where` and `window` "
    "(`last`, or `calendar` and `time_zone`); or it has `sql` and `every`"
)
_ALSO: Final = "; `{}` may have {} too"


def trait(name: str, description: str, tree: Any, kinds: Mapping[str, TraitKind]) -> Trait:
    """
    The trait that a document's `spec` defines.

    Raises:
        BadDefinition: names the place below `spec`, what is wrong there and what to write.
    """
    if is_sql(tree):
        return _sql_trait(name, description, read_as(SqlTraitSpec, tree, "spec", SQL_EXPECTED))
    plain_kind, given, rest = apart(tree, kinds)
    spec = read_as(TraitSpec, rest, "spec", expected_of(tree, kinds))
    if plain_kind is None:
        raise BadDefinition(f"spec.aggregate: {spec.aggregate!r} is not known; use one of {', '.join(sorted(kinds))}")
    try:
        kind, parameters = made_with(plain_kind, given)
    except BadParameter as error:
        raise BadDefinition(f"spec.{error.name}: {error}") from error
    if spec.type not in TYPES:
        raise BadDefinition(f"spec.type: {spec.type!r} is no call; use one of {', '.join(sorted(TYPES))}")
    if kind.takes is not Takes.NOTHING and (spec.property is None) == (spec.field is None):
        raise BadDefinition(
            f"spec: `{spec.aggregate}` needs a value: give `property: NAME` or `field: timestamp`, and not both"
        )
    if kind.takes is Takes.NOTHING and (spec.property, spec.field) != (None, None):
        raise BadDefinition(f"spec: `{spec.aggregate}` takes no value; remove `property` and `field`")
    if spec.property is not None and UNREADABLE.search(spec.property):
        raise BadDefinition(f"spec.property: {spec.property!r} has a quote, a backslash or a control character in it")
    where = None if spec.where is None else _condition(spec.where)
    windowed, window = (kind, None) if spec.window is None else _windowed(kind, spec.window)
    # Only what was said, so that a field which a later release adds does not make every state start anew.
    plain = TraitSpec(spec.aggregate)
    said = {part: value for part, value in asdict(spec).items() if value != getattr(plain, part)}
    if where is not None:
        said["where"] = as_tree(where)
    if window is not None:
        said["window"] = window
    whole = {**said, **parameters}
    digest = blake2b(json_values.encode(whole), digest_size=4).hexdigest()
    return Trait(
        name=name,
        kind=windowed,
        key=f"{spec.aggregate}:{name}:{digest}",
        type=spec.type,
        event=spec.event,
        property=spec.property,
        field=spec.field,
        description=description,
        where=where,
        spec={"aggregate": spec.aggregate, **whole},
    )


def is_sql(tree: Any) -> bool:
    """Whether a `spec` is of a trait whose values a query gives."""
    return isinstance(tree, dict) and "sql" in tree


def _sql_trait(name: str, description: str, spec: SqlTraitSpec) -> Trait:
    # Imported where there is one: sqlglot takes a third of a second.
    from obverse.core.queries.reading import read_query  # noqa: PLC0415

    every = spans.parse(spec.every)
    if every is None or every < LEAST_EVERY:
        raise BadDefinition(f"spec.every: {spec.every!r} is no span of a minute or more; write {spans.EXPECTED}")
    try:
        query = Query(read_query(spec.sql, spec.engine), every, spec.engine, spec.sql)
    except BadQuery as error:
        raise BadDefinition(f"spec.sql: {error}") from error
    return Trait(
        name=name,
        kind=Given(),
        # Another query goes on from the values that are there: its first run moves what differs.
        key=f"sql:{name}:00000000",
        type=queries.TYPE,
        event=name,
        property=queries.PROPERTY,
        field=None,
        description=description,
        query=query,
        # The engine is named where it is not the one that goes without saying.
        spec={"sql": spec.sql, "every": spans.to_text(every)}
        | ({} if spec.engine == queries.POSTGRES else {"engine": spec.engine}),
    )


def expected_of(tree: Any, kinds: Mapping[str, TraitKind]) -> str:
    """What may stand in the `spec` of a trait like this one, in words."""
    if is_sql(tree):
        return SQL_EXPECTED
    kind, _, _ = apart(tree, kinds)
    if kind is None or not parameters_of(kind):
        return EXPECTED
    named = ", ".join(f"`{one}`" for one in parameters_of(kind))
    return EXPECTED + _ALSO.format(tree["aggregate"], named)


def apart(tree: Any, kinds: Mapping[str, TraitKind]) -> tuple[TraitKind | None, dict[str, Any], Any]:
    """The kind that is named, the parameters that it is given, and what else is said."""
    name = tree.get("aggregate") if isinstance(tree, dict) else None
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        return None, {}, tree
    known = parameters_of(kind)
    given = {part: value for part, value in tree.items() if part in known}
    return kind, given, {part: value for part, value in tree.items() if part not in known}


def _condition(tree: Any) -> Condition:
    try:
        return parse_event(tree, "spec.where")
    except BadCondition as error:
        raise BadDefinition(str(error)) from error


def _windowed(kind: TraitKind, spec: WindowSpec) -> tuple[Windowed, dict[str, str]]:
    """The kind over a window, and the window in the words that are always chosen for it."""
    if (spec.last is None) == (spec.calendar is None):
        raise BadDefinition("spec.window: give `last`, such as `last: 7 days`, or `calendar`, and not both")
    if spec.calendar is None:
        if spec.time_zone is not None:
            raise BadDefinition("spec.window.time_zone: it is for `calendar`; what slides is the same in each zone")
        span = spans.parse(spec.last)
        if span is None or span % windows.LEAST or not windows.LEAST <= span <= windows.MOST:
            raise BadDefinition(
                f"spec.window.last: {spec.last!r} is no window; write whole hours or days, such as `12 hours` or "
                "`7 days` (400 days at most)"
            )
        return Sliding(kind, span), {"last": spans.to_text(span)}
    if spec.calendar not in PERIODS:
        raise BadDefinition(f"spec.window.calendar: {spec.calendar!r} is no period; use one of {', '.join(PERIODS)}")
    name = spec.time_zone or "UTC"
    zone = zone_of(name)
    if zone is None:
        raise BadDefinition(
            f"spec.window.time_zone: {name!r} is no time zone{did_you_mean(name, zone_names())}; use a name of the "
            "IANA database, such as Europe/Berlin"
        )
    return Periodic(kind, Calendar(spec.calendar, zone)), {"calendar": spec.calendar, "time_zone": name}
