"""
What `obverse bench match` is held against: Splink 5 with the settings of its own published examples.

FEBRL's is https://moj-analytical-services.github.io/splink/demos/examples/duckdb/febrl3.html, that of the thousand
https://moj-analytical-services.github.io/splink/demos/examples/duckdb/accuracy_analysis_from_labels_column.html: the
same comparisons, blocking rules, training and seeds. Of the companies none is published; theirs is in the same style.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obverse.apps.bench.people_known import Labelled

Scored = list[tuple[float, tuple[int, int]]]
"""The weight of each pair, in bits; a pair by its records' places."""

_ID: Final = "unique_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """How an example sets Splink up."""

    columns: Sequence[str]
    comparisons: Sequence[Any]
    blocking: Sequence[Any]
    surely: Sequence[Any]
    """Rules by which pairs are surely of one person."""
    recall: float
    """The share of all pairs of one person that these find."""
    sessions: Sequence[Any]
    """Rules whose pairs teach."""
    seed: int
    as_dates: Sequence[str] = field(default=())


def febrl_example() -> Example:
    """That of FEBRL 3, which has the columns of FEBRL 1 and 2."""
    import splink.comparison_library as cl  # noqa: PLC0415 - installed with `obverse[er]` alone
    from splink import block_on  # noqa: PLC0415 - as above

    names = ("given_name", "surname")
    swapped = "l.given_name = r.surname and l.surname = r.given_name and l.date_of_birth = r.date_of_birth"
    return Example(
        columns=(*names, "date_of_birth", "soc_sec_id", "street_number", "postcode"),
        comparisons=(
            *map(cl.NameComparison, names),
            cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
            cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
            cl.ExactMatch("postcode").configure(term_frequency_adjustments=True),
        ),
        blocking=[block_on(name) for name in ("soc_sec_id", *names, "date_of_birth", "postcode")],
        surely=(block_on("soc_sec_id"), block_on(*names, "date_of_birth"), swapped),
        recall=0.9,
        sessions=(block_on("date_of_birth"), block_on("postcode")),
        seed=2,
    )


def fake_example() -> Example:
    """That of the thousand, whose labels stand in a column."""
    import splink.comparison_library as cl  # noqa: PLC0415 - installed with `obverse[er]` alone
    from splink import block_on  # noqa: PLC0415 - as above

    near = "levenshtein(r.dob::varchar, l.dob::varchar) <= 1"
    return Example(
        columns=("first_name", "surname", "dob", "city", "email"),
        comparisons=(
            cl.ForenameSurnameComparison("first_name", "surname"),
            cl.DateOfBirthComparison("dob", input_is_string=False),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
            cl.EmailComparison("email"),
        ),
        blocking=[block_on(name) for name in ("first_name", "surname", "dob", "email")],
        surely=(
            f"l.first_name = r.first_name and {near}",
            f"l.surname = r.surname and {near}",
            "l.first_name = r.first_name and levenshtein(r.surname, l.surname) <= 2",
            "l.email = r.email",
        ),
        recall=0.7,
        sessions=(block_on("dob"), block_on("email"), block_on("first_name", "surname")),
        seed=5,
        as_dates=("dob",),
    )


def companies_style() -> Example:
    """In the style of the examples, on values in lower case without marks, as Splink's guides advise."""
    import splink.comparison_library as cl  # noqa: PLC0415 - installed with `obverse[er]` alone
    from splink import block_on  # noqa: PLC0415 - as above

    columns = ("name", "phone", "address", "zip")
    return Example(
        columns=columns,
        comparisons=(
            cl.JaroWinklerAtThresholds("name", [0.9, 0.7]).configure(term_frequency_adjustments=True),
            cl.LevenshteinAtThresholds("phone", [1, 2]).configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("address", [0.9, 0.7]).configure(term_frequency_adjustments=True),
            cl.ExactMatch("zip").configure(term_frequency_adjustments=True),
        ),
        blocking=[block_on(name) for name in columns],
        surely=(block_on("name", "address"), block_on("phone", "address")),
        recall=0.6,
        sessions=(block_on("phone"), block_on("address")),
        seed=2,
    )


def scored(example: Example, data: Labelled, columns: Sequence[Sequence[str | None]] | None = None) -> Scored:
    """Every pair that the example compares, as it weighs it; of the file's own values, if no others are given."""
    import duckdb  # noqa: PLC0415 - installed with `obverse[er]` alone
    import pyarrow as pa  # noqa: PLC0415 - as above
    from splink import DuckDBAPI, Linker, SettingsCreator  # noqa: PLC0415 - as above

    logging.getLogger("splink").setLevel(logging.ERROR)
    values = columns or [[row[name] for row in data.rows] for name in example.columns]
    arrays = {name: pa.array(column, pa.string()) for name, column in zip(example.columns, values, strict=True)}
    connection = duckdb.connect()
    try:
        connection.register("given", pa.table({_ID: pa.array(range(len(data.rows)), pa.int64()), **arrays}))
        dates = ", ".join(f"cast({name} as date) as {name}" for name in example.as_dates)
        connection.execute(f"create table people as select *{f' replace ({dates})' if dates else ''} from given")  # noqa: S608 - names of our own
        api = DuckDBAPI(connection=connection)
        settings = SettingsCreator(
            link_type="dedupe_only",
            comparisons=list(example.comparisons),
            blocking_rules_to_generate_predictions=list(example.blocking),
        )
        linker = Linker(api.register("people"), settings, log_level=None)
        training = linker.training
        training.estimate_probability_two_random_records_match(list(example.surely), recall=example.recall)
        training.estimate_u_using_random_sampling(max_pairs=1e6, seed=example.seed)
        for rule in example.sessions:
            training.estimate_parameters_using_expectation_maximisation(
                rule, estimate_without_term_frequencies=bool(example.as_dates)
            )
        found = linker.inference.predict(warning_mode="never").as_record_list()
    finally:
        connection.close()
    return [
        (one["match_weight"], (min(pair), max(pair))) for one in found for pair in ((one[f"{_ID}_l"], one[f"{_ID}_r"]),)
    ]
