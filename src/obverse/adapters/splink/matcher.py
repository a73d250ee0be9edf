"""The matcher: records into DuckDB, a model taught by them, and the pairs that it finds."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Final

from obverse.adapters.splink.blocking import block, keys_sql
from obverse.adapters.splink.levels import Compared, agreement_sql, compared
from obverse.adapters.splink.training import Model, train, usual
from obverse.core.matching import Agreement, Field, Kind
from obverse.ports.matcher import Columns, Matcher, MatcherLacking, Pair
from obverse.ports.runtime import Runtime

_NEEDS: Final = ("splink", "duckdb", "pyarrow")
_TABLE: Final = "people"
_ROUNDS: Final = 30
_SETTLED: Final = 0.01
"""Bits that it may still move."""
_HELD_FREQUENCY: Final = 2000
"""Records that the usual frequency of a value counts for: among few, that two share it says little of its rarity."""
_MARGIN: Final = 9.0
"""Bits below what is asked for that are looked at, since the expected number of matches may turn out higher."""
_FEWEST: Final = 2
_MOST_BITS: Final = 60
_NO_EVIDENCE: Final = frozenset({Agreement.UNKNOWN, Agreement.DIFFERENT})
_MOST_LIKELY: Final = 0.1
"""That two records are of one person, before any is looked at."""
_AT_ONCE: Final = 10_000
"""Pairs that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplinkSettings:
    """The `[matcher.splink]` table of the settings file."""

    threads: int = 0
    """Cores that DuckDB may use; 0: all."""
    memory_limit: str = ""
    """As DuckDB writes it, such as `4GB`; empty: four fifths of the machine's."""


async def open_matcher(settings: SplinkSettings, runtime: Runtime) -> Matcher:  # noqa: ARG001 - every adapter is opened alike
    """
    Entry point `obverse.matcher:splink`.

    Raises:
        MatcherLacking: Splink is not installed.
    """
    lacking = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        raise MatcherLacking(
            what=f"matching needs {' and '.join(lacking)}, which is not installed here: pip install 'obverse[er]'"
        )
    return SplinkMatcher(settings)


class SplinkMatcher:
    """See `Matcher`."""

    def __init__(self, settings: SplinkSettings) -> None:
        self._settings = settings

    async def match(self, fields: Sequence[Field], columns: Columns, *, least: float) -> Sequence[Pair]:
        """See `Matcher.match`."""
        return await asyncio.to_thread(self._match, fields, columns, least)

    def _match(self, fields: Sequence[Field], columns: Columns, least: float) -> Sequence[Pair]:
        import duckdb  # noqa: PLC0415 - installed with `obverse[er]` alone

        used = [place for place, column in enumerate(columns) if any(value is not None for value in column)]
        records = len(columns[0]) if columns else 0
        if not used or records < _FEWEST:
            return []
        wanted = compared([fields[place] for place in used])
        # Splink tells each step of its training; who asked for pairs is told the pairs.
        logging.getLogger("splink").setLevel(logging.ERROR)
        with TemporaryDirectory(prefix="obverse-match-") as folder, closing(duckdb.connect()) as connection:
            self._set_up(connection, folder)
            load(connection, wanted, [columns[place] for place in used], records)
            found = list(_pairs(connection, wanted, records, least))
        return sorted(
            (_spread(pair, used, len(fields)) for pair in found),
            key=lambda pair: (-pair.probability, pair.one, pair.other),
        )

    def _set_up(self, connection: Any, folder: str) -> None:
        # What does not fit into memory goes there, and is gone with it; and nothing is fetched from anywhere.
        connection.execute("set temp_directory = $1", [folder])
        connection.execute("set autoinstall_known_extensions = false")
        connection.execute("set enable_progress_bar = false")
        if self._settings.threads:
            connection.execute(f"set threads = {self._settings.threads}")
        if self._settings.memory_limit:
            connection.execute("set memory_limit = $1", [self._settings.memory_limit])


def load(connection: Any, fields: Sequence[Compared], columns: Columns, records: int) -> None:
    """Put the records into the table that all others read, with what is derived of them."""
    import pyarrow as pa  # noqa: PLC0415 - installed with `obverse[er]` alone

    arrays = {one.column: pa.array(column, pa.string()) for one, column in zip(fields, columns, strict=True)}
    given = pa.table({"unique_id": pa.array(range(records), pa.int64()), **arrays})
    connection.register("given", given)
    # Digits are compared one by one, and DuckDB refuses to do that with texts of different length.
    dates = ", ".join(f"rpad({one.column}, 8, '-') as {one.column}" for one in fields if one.field.kind is Kind.DATE)
    derived = "".join(f", {sql} as {name}" for one in fields for name, sql in one.derived.items())
    replaced = f" replace ({dates})" if dates else ""
    connection.execute(f"create or replace table {_TABLE} as select *{replaced}{derived} from given")  # noqa: S608 - names of our own
    connection.unregister("given")


def _pairs(connection: Any, fields: Sequence[Compared], records: int, least: float) -> Iterator[Pair]:
    from splink import DuckDBAPI, Linker  # noqa: PLC0415 - installed with `obverse[er]` alone

    api = DuckDBAPI(connection=connection)
    teacher = Linker(api.register(_TABLE), _settings(fields, None, records), log_level=None)
    model = train(teacher, connection, _TABLE, fields, records)
    blocked = block(connection, _TABLE, keys_sql([one.field for one in fields]), records)
    scorer = Linker(api.register(_TABLE), _settings(fields, model, records), log_level=None)
    scorer.table_management.register_blocked_pairs_for_predict(api.register(blocked))
    for one, shares in zip(fields, model.u, strict=True):
        if one.levels[0][0].by_frequency:
            frequencies = api.register(connection.sql(frequencies_sql(one.column, shares[0])))
            scorer.table_management.register_term_frequency_lookup(frequencies, one.column)
    floor = log_odds(least) - _MARGIN
    scored = scorer.inference.predict(threshold_match_weight=floor, warning_mode="never")
    yield from _read(connection, scored.physical_name, fields, records, least)


def log_odds(probability: float) -> float:
    """
    In bits, for a probability that is neither 0 nor 1, or is taken for one that is close to it.

    >>> log_odds(0.5), round(log_odds(0.8), 6)
    (0.0, 2.0)
    """
    held_in = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log2(held_in / (1 - held_in))


def _prior(records: int) -> float:
    """How likely two records are of one person, before any is looked at: as if each were there twice."""
    return min(_MOST_LIKELY, records / max(1.0, records * (records - 1) / 2))


def frequencies_sql(column: str, usually: float) -> str:
    """How likely another record has the same value, of each value: as often as others do, held by what is usual."""
    return f"""
    select {column},
        (count(*) - 1 + {_HELD_FREQUENCY * usually:.12e}) / (sum(count(*)) over () + {_HELD_FREQUENCY}) as tf_{column}
    from {_TABLE} where {column} is not null group by {column}
    """  # noqa: S608 - a name and a number of our own


def _settings(fields: Sequence[Compared], model: Model | None, records: int) -> Any:
    from splink import SettingsCreator  # noqa: PLC0415 - installed with `obverse[er]` alone

    m, _ = usual(fields)
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            _comparison(one, m[place], None) if model is None else _comparison(one, model.m[place], model.u[place])
            for place, one in enumerate(fields)
        ],
        probability_two_random_records_match=_prior(records),
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=False,
    )


def _comparison(one: Compared, m: Sequence[float], u: Sequence[float] | None) -> dict[str, Any]:
    """A field's comparison as Splink takes it; without `u`, which it is to learn, all values are alike rare."""
    levels: list[dict[str, Any]] = [
        {"sql_condition": one.nothing, "label_for_charts": "unknown", "is_null_level": True}
    ]
    conditions = [(sql, level.by_frequency) for level, sql in one.levels]
    for place, (sql, by_frequency) in enumerate([*conditions, ("ELSE", False)]):
        level: dict[str, Any] = {"sql_condition": sql, "label_for_charts": str(place), "m_probability": m[place]}
        if u is not None:
            level["u_probability"] = u[place]
            if by_frequency:
                level |= {"tf_adjustment_column": one.column, "tf_adjustment_weight": 1.0}
        levels.append(level)
    return {"output_column_name": one.column, "comparison_levels": levels}


def _read(connection: Any, table: str, fields: Sequence[Compared], records: int, least: float) -> Iterator[Pair]:
    """
    The pairs, with probabilities for as many matches as they themselves say that there are.

    Splink has weighed them for an expected number of matches. What all of them come to is a better one, and so on,
    until it moves no more.
    """
    shift = _shift(connection, table, records)
    rows = connection.execute(told_sql(table, fields), [log_odds(least) - shift])
    while some := rows.fetchmany(_AT_ONCE):
        for left, right, weight, *places in some:
            told = tuple(_agreement(one, place) for one, place in zip(fields, places, strict=True))
            if _NO_EVIDENCE.issuperset(told):
                continue  # of few records any two are likely to be one, before anything is known of them
            probability = round(1 / (1 + 2 ** -min(_MOST_BITS, weight + shift)), 6)
            yield Pair(min(left, right), max(left, right), probability, told)


def told_sql(table: str, fields: Sequence[Compared]) -> str:
    """What is told of each pair that weighs enough: how its values agree."""
    columns = list(dict.fromkeys(name for one in fields for name in (one.column, *one.derived)))
    sides = ", ".join(f"{side}.{name} as {name}_{side}" for name in columns for side in "lr")
    told = ", ".join(map(agreement_sql, fields))
    return f"""
    with likely as (
        select unique_id_l, unique_id_r, match_weight, {sides}
        from (select unique_id_l, unique_id_r, match_weight from {table} where match_weight >= $1)
        join {_TABLE} as l on l.unique_id = unique_id_l join {_TABLE} as r on r.unique_id = unique_id_r
    )
    select unique_id_l, unique_id_r, match_weight, {told} from likely
    """  # noqa: S608 - names and expressions of our own


def _shift(connection: Any, table: str, records: int) -> float:
    """How many bits are added to all weights, so that they expect as many matches as they find."""
    all_pairs = max(1.0, records * (records - 1) / 2)
    prior = _prior(records)
    before = math.log2(prior / (1 - prior))
    shift = 0.0
    for _ in range(_ROUNDS):
        found = connection.execute(
            f"select coalesce(sum(1 / (1 + pow(2, -least({_MOST_BITS}, match_weight + $1)))), 0) from {table}",  # noqa: S608 - a name of our own
            [shift],
        ).fetchall()[0][0]
        rate = min(_MOST_LIKELY, max(float(found), 0.5) / all_pairs)
        moved = math.log2(rate / (1 - rate)) - before
        if abs(moved - shift) < _SETTLED:
            return moved
        shift = moved
    return shift


def _agreement(one: Compared, place: int) -> Agreement:
    if place < 0:
        return Agreement.UNKNOWN if place == -1 else Agreement.SWAPPED
    return one.levels[place][0].agreement if place < len(one.levels) else Agreement.DIFFERENT


def _spread(pair: Pair, used: Sequence[int], count: int) -> Pair:
    """The pair as of all fields: those that no record has are unknown."""
    told = [Agreement.UNKNOWN] * count
    for place, agreement in zip(used, pair.agreements, strict=True):
        told[place] = agreement
    return Pair(pair.one, pair.other, pair.probability, tuple(told))
