"""Training: what the records teach of how often values agree, held back by what is usual where they teach little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from obverse.adapters.splink.levels import Compared
from obverse.core.matching import Kind

SEED: Final = 1
_MOST_PAIRS: Final = 500_000
"""Pairs of one session, and of the sample of pairs by chance."""
_HELD_M: Final = 50
"""Pairs of one person that the usual shares count for."""
_HELD_U: Final = 5_000
"""Pairs by chance that the usual shares count for."""
_FEWEST: Final = 20
"""Pairs below which a session is not begun."""

Shares = Sequence[float]
"""Of each level, and at last of what is different; they add up to 1."""


@dataclass(frozen=True, slots=True)
class Model:
    """What was learned."""

    m: tuple[Shares, ...]
    u: tuple[Shares, ...]
    """Of pairs of two people, without those of one that were met by chance."""


def usual(fields: Sequence[Compared]) -> tuple[tuple[Shares, ...], tuple[Shares, ...]]:
    """The shares that are usual: m, and u."""
    return (
        tuple(_whole([level.m for level, _ in one.levels]) for one in fields),
        tuple(_whole([level.u for level, _ in one.levels]) for one in fields),
    )


def _whole(shares: Sequence[float]) -> Shares:
    return (*shares, 1 - sum(shares))


def held(learned: Sequence[float | None], usual_shares: Shares, *, pairs: float, weight: float) -> Shares:
    """
    What was learned from so many pairs, held back by the usual shares, which count for `weight` pairs.

    >>> held((0.5, 0.5), (0.9, 0.1), pairs=100, weight=100)
    (0.7, 0.3)
    """
    mixed = [
        usually if share is None else (share * pairs + usually * weight) / (pairs + weight)
        for share, usually in zip(learned, usual_shares, strict=True)
    ]
    whole = sum(mixed)
    return tuple(round(share / whole, 12) for share in mixed)


def without_matches(u: Shares, m: Shares, rate: float) -> Shares:
    """
    The shares among pairs of two people, given those among all pairs, of which `rate` are of one.

    >>> without_matches((0.002, 0.998), (1.0, 0.0), 0.001)
    (0.001001..., 0.998998...)
    """
    cleared = [max((all_ - rate * matching) / (1 - rate), all_ / 20) for all_, matching in zip(u, m, strict=True)]
    whole = sum(cleared)
    return tuple(share / whole for share in cleared)


_SESSIONS: Final[tuple[tuple[Kind, ...], ...]] = (
    (Kind.DATE,),
    (Kind.EMAIL,),
    (Kind.CODE,),
    (Kind.GIVEN_NAME, Kind.FAMILY_NAME),
    (Kind.ORGANISATION,),
    (Kind.STREET,),
)
"""
What is the same in all pairs of a session; all other fields are learned of in it.

No phone: a household has one, and so have the branches of a firm, who are alike in more than that and yet are not one.
"""


def sessions(fields: Sequence[Compared]) -> list[list[str]]:
    """The columns of each session."""
    columns: dict[Kind, str] = {}
    for one in fields:
        columns.setdefault(one.field.kind, one.column)
    return [[columns[kind] for kind in kinds] for kinds in _SESSIONS if all(kind in columns for kind in kinds)]


def pairs_of(connection: Any, table: str, columns: Sequence[str]) -> int:
    """How many pairs are the same in these columns."""
    names = ", ".join(columns)
    known = " and ".join(f"{name} is not null" for name in columns)
    query = f"""
    select coalesce(sum(records * (records - 1) / 2), 0)
    from (select count(*) as records from {table} where {known} group by {names})
    """  # noqa: S608 - names of our own
    return int(connection.execute(query).fetchall()[0][0])


def train(linker: Any, connection: Any, table: str, fields: Sequence[Compared], records: int) -> Model:
    """Teach the linker, and return what it has learned."""
    from splink import block_on  # noqa: PLC0415 - installed with `obverse[er]` alone
    from splink.internals.exceptions import EMTrainingException  # noqa: PLC0415 - as above

    usual_m, usual_u = usual(fields)
    linker.training.estimate_u_using_random_sampling(max_pairs=_MOST_PAIRS, seed=SEED, min_count_per_level=None)
    for columns in sessions(fields):
        pairs = pairs_of(connection, table, columns)
        if pairs < _FEWEST:
            continue
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(*columns),
                estimate_without_term_frequencies=True,
                max_pairs=_MOST_PAIRS if pairs > _MOST_PAIRS else None,
            )
        except EMTrainingException:
            continue  # these pairs teach nothing: the usual shares hold
    learned = _learned(linker)
    matches = float(records)
    all_pairs = max(1.0, records * (records - 1) / 2)
    sampled = min(float(_MOST_PAIRS), all_pairs)
    m = tuple(
        held(learned[one.column][0], usually, pairs=matches / 4, weight=_HELD_M)
        for one, usually in zip(fields, usual_m, strict=True)
    )
    u = tuple(
        held(learned[one.column][1], usually, pairs=sampled, weight=_HELD_U)
        for one, usually in zip(fields, usual_u, strict=True)
    )
    rate = min(0.5, matches / all_pairs)
    return Model(m, tuple(without_matches(shares, of_one, rate) for shares, of_one in zip(u, m, strict=True)))


def _learned(linker: Any) -> Mapping[str, tuple[list[float | None], list[float | None]]]:
    found = {}
    for comparison in linker.misc.save_model_to_json()["comparisons"]:
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        found[comparison["output_column_name"]] = (
            [level.get("m_probability") for level in levels],
            [level.get("u_probability") for level in levels],
        )
    return found
