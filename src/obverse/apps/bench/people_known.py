"""Data sets of which it is known who is one person, for `obverse bench match`."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from obverse.apps.bench.crowd import Lists
from obverse.apps.bench.machine import BenchFailed
from obverse.core.matching import Field, Kind, normal

Row = Mapping[str, str | None]
FEBRL: Final = ("febrl_dataset1.csv", "febrl_dataset2.csv")
FAKE: Final = "fake_1000.csv"
COMPANIES: Final = "dedupe_csv_example_input_with_true_ids.csv"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Records, and who is who."""

    rows: Sequence[Row]
    """As the file has them, without spaces around; None where it says nothing."""
    fields: Sequence[Field]
    columns: Sequence[Sequence[str | None]]
    """Of the fields, normalised."""
    people: Sequence[str]
    """Of each record, whose it is."""

    def pairs(self) -> set[tuple[int, int]]:
        """Every two records of one person, by their places, the smaller first."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, whose in enumerate(self.people):
            places[whose].append(place)
        return {pair for together in places.values() for pair in combinations(together, 2)}


_Made = tuple[str, Kind, Callable[[Row], str | None]]


def _column(name: str) -> Callable[[Row], str | None]:
    return lambda row: row[name]


def _street(row: Row) -> str | None:
    return " ".join(part for part in (row["street_number"], row["address_1"]) if part) or None


_FEBRL_FIELDS: Final[tuple[_Made, ...]] = (
    ("given_name", Kind.GIVEN_NAME, _column("given_name")),
    ("family_name", Kind.FAMILY_NAME, _column("surname")),
    ("birth_date", Kind.DATE, _column("date_of_birth")),
    ("street", Kind.STREET, _street),
    ("postcode", Kind.POSTCODE, _column("postcode")),
    ("city", Kind.CITY, _column("suburb")),
    ("social_security", Kind.CODE, _column("soc_sec_id")),
)
_FAKE_FIELDS: Final[tuple[_Made, ...]] = (
    ("given_name", Kind.GIVEN_NAME, _column("first_name")),
    ("family_name", Kind.FAMILY_NAME, _column("surname")),
    ("birth_date", Kind.DATE, _column("dob")),
    ("email", Kind.EMAIL, _column("email")),
    ("city", Kind.CITY, _column("city")),
)
_COMPANY_FIELDS: Final[tuple[_Made, ...]] = (
    ("organisation", Kind.ORGANISATION, _column("Site name")),
    ("phone", Kind.PHONE, _column("Phone")),
    ("street", Kind.STREET, _column("Address")),
    ("postcode", Kind.POSTCODE, _column("Zip")),
)


def febrl(folder: Path, file: str) -> Labelled:
    """One of FEBRL's: whoever has a `-dup-` has an original of the same number."""
    rows = read_rows(folder / file)
    return _labelled(rows, _FEBRL_FIELDS, [str(row["rec_id"]).split("-")[1] for row in rows])


def fake(folder: Path) -> Labelled:
    """Splink's thousand."""
    rows = read_rows(folder / FAKE)
    return _labelled(rows, _FAKE_FIELDS, [str(row["cluster"]) for row in rows])


def companies(folder: Path) -> Labelled:
    """Dedupe's places of childhood education."""
    rows = read_rows(folder / COMPANIES)
    return _labelled(rows, _COMPANY_FIELDS, [str(row["True Id"]) for row in rows])


def lists(folder: Path) -> Lists:
    """The names and places of FEBRL's and Splink's people, each as often as it stands there."""
    people, thousand = [row for file in FEBRL for row in read_rows(folder / file)], read_rows(folder / FAKE)

    def of(kind: Kind, column: str, rows: Iterable[Row]) -> list[str]:
        return [value for row in rows if (value := normal(kind, row[column])) is not None]

    return Lists(
        given=of(Kind.GIVEN_NAME, "given_name", people) + of(Kind.GIVEN_NAME, "first_name", thousand),
        family=of(Kind.FAMILY_NAME, "surname", people) + of(Kind.FAMILY_NAME, "surname", thousand),
        streets=of(Kind.STREET, "address_1", people),
        places=[(row["postcode"], row["suburb"]) for row in people if row["postcode"] and row["suburb"]],
    )


def read_rows(path: Path) -> list[Row]:
    """
    The rows of a file.

    Raises:
        BenchFailed: it is not there.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {name.strip(): (value or "").strip() or None for name, value in row.items()}
                for row in csv.DictReader(file, skipinitialspace=True)
            ]
    except OSError as error:
        raise BenchFailed(
            f"{path} cannot be read ({error.strerror}): run it in a checkout, or say --folder with the data sets"
        ) from error


def _labelled(rows: Sequence[Row], made: Sequence[_Made], people: Sequence[str]) -> Labelled:
    columns = [
        [None if (value := take(row)) is None else normal(kind, value) for row in rows] for _, kind, take in made
    ]
    return Labelled(rows, [Field(name, kind) for name, kind, _ in made], columns, people)
