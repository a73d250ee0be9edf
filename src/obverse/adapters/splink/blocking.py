"""Blocking: which records are compared at all. Those that share two keys are, unless too many share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from obverse.core.matching import Field, Kind

EVERYBODY: Final = 2_000
"""Records that are all compared with each other, if there are no more."""
LEAST_BUDGET: Final = 300_000
BUDGET_PER_RECORD: Final = 2
"""Pairs that one key may make: the smallest of its blocks first, until there are so many."""
SHARED: Final = 2
"""Keys that two records share at least: one may be the same by chance, and whoever shares a rare value shares two."""


def keys_sql(fields: Sequence[Field]) -> list[str]:
    """The keys of a record, each an expression that is null where the record has none."""
    columns: dict[Kind, str] = {}
    for place, field in enumerate(fields):
        columns.setdefault(field.kind, f"f{place}")
    return list(dict.fromkeys([*_single(fields), *_joint(columns)]))


def _single(fields: Sequence[Field]) -> Iterator[str]:
    for place, field in enumerate(fields):
        column = f"f{place}"
        yield column
        match field.kind:
            case Kind.EMAIL:
                yield f"{column}_local"
            case Kind.PHONE:
                yield f"right({column}, 7)"
            case Kind.STREET:
                yield f"{column}_number || ' ' || {column}_words[1:5]"
            case Kind.ORGANISATION:
                yield f"{column}[1:12]"
                yield f"{column}_list[-1] || ' ' || {column}[1:3]"
            case Kind.DATE | Kind.CODE:
                # Few share it by chance: that it is the same counts for two.
                yield f"{column} || ''"


def _joint(columns: Mapping[Kind, str]) -> Iterator[str]:
    given, family = columns.get(Kind.GIVEN_NAME), columns.get(Kind.FAMILY_NAME)
    date, postcode = columns.get(Kind.DATE), columns.get(Kind.POSTCODE) or columns.get(Kind.CITY)
    if given and family:
        yield f"least({given}, {family}) || ' ' || greatest({given}, {family})"
        yield f"{given}[1:1] || ' ' || {family}"
        yield f"{given} || ' ' || {family}[1:2]"
    for name in (given, family):
        if name and date:
            yield f"{name} || ' ' || {date}[1:4]"
        if name and postcode:
            yield f"{name} || ' ' || {postcode}"
    if family and date:
        yield f"{family}[1:3] || ' ' || {date}[5:8]"


def block(connection: Any, table: str, keys: Sequence[str], records: int) -> str:
    """Make a table of the pairs to be compared, in the shape in which Splink takes one; returns its name."""
    connection.execute(
        everybody_sql(table) if records <= EVERYBODY else "create or replace table keyed (id bigint, key ubigint)"
    )
    if records > EVERYBODY:
        budget = max(LEAST_BUDGET, BUDGET_PER_RECORD * records)
        for place, key in enumerate(keys):
            connection.execute(key_sql(table, key, place, budget))
        connection.execute(pairs_sql())
        connection.execute("drop table keyed")
    return "blocked"


def everybody_sql(table: str) -> str:
    """Every pair there is."""
    return f"""
    create or replace table blocked as
    select l.unique_id as join_key_l, r.unique_id as join_key_r, '0' as match_key
    from {table} as l join {table} as r on l.unique_id < r.unique_id
    """  # noqa: S608 - a name of our own


def key_sql(table: str, key: str, place: int, budget: int) -> str:
    """Add the records that have a key to `keyed`, but for the blocks that are too large for the budget."""
    return f"""
    insert into keyed
    with own as (
        select unique_id as id, hash({place}, key) as key
        from (select unique_id, {key} as key from {table}) where key is not null
    ),
    blocks as (select key, count(*) as records from own group by key having count(*) > 1),
    sizes as (
        select records, sum(count(*) * records * (records - 1) / 2) over (order by records) as pairs
        from blocks group by records
    ),
    kept as (select key from blocks where records <= (select max(records) from sizes where pairs <= {budget}))
    select own.id, own.key from own semi join kept using (key)
    """  # noqa: S608 - names and expressions of our own


def pairs_sql() -> str:
    """The pairs that share as many keys as they must."""
    return f"""
    create or replace table blocked as
    select l.id as join_key_l, r.id as join_key_r, '0' as match_key
    from keyed as l join keyed as r on l.key = r.key and l.id < r.id
    group by l.id, r.id having count(*) >= {SHARED}
    """  # noqa: S608 - a number of our own
