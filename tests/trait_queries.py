"""
What traits must come to, in SQL alone.

It knows nothing of Obverse: a row counts if it had arrived by an instant, its condition holds, and it is in the window,
which is written here from its definition. Two ways that agree prove each other.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

CDNOW_FILE: Final = Path(__file__).parent / "data/cdnow/CDNOW_master.txt.gz"
SHOP_FILE: Final = Path(__file__).parents[1] / "src/obverse/apps/demo/online_retail_first_50k.csv.gz"
HOUR, DAY = 3_600_000_000, 86_400_000_000
PARTS: Final = ("id", "person", "at", "arrived", "amount", "word", "note")
LATE: Final = 3 * DAY
"""Every seventeenth row arrives so much later than it happened, in microseconds."""

WINDOWS: Final[dict[str, str]] = {
    "ever": "true",
    "last 36 hours": f"(epoch_us(happened) // 60000000 + 1) * 60000000 + {36 * HOUR} > $now",
    "last 10 days": f"(epoch_us(happened) // {HOUR} + 1) * {HOUR} + {10 * DAY} > $now",
    "last 100 days": f"(epoch_us(happened) // {DAY} + 1) * {DAY} + {100 * DAY} > $now",
    **{
        f"{period} in {zone}": (
            f"date_trunc('{period}', timezone('{zone}', happened)) = "
            f"date_trunc('{period}', timezone('{zone}', make_timestamptz($now)))"
        )
        for period, zone in (
            ("day", "America/New_York"),
            ("week", "UTC"),
            ("month", "Europe/Berlin"),
            ("quarter", "UTC"),
            ("year", "Asia/Tokyo"),
        )
    },
}
"""By name, whether a row is in the window at an instant."""

QUERY: Final = """
with arrived as (
    select *, ({window}) as inside from rows where epoch_us(arrived) <= $now and ({condition})
),
counted as (
    select person, word, count(*) filter (where inside) as times from arrived group by person, word
),
words as (
    select person,
        list(word order by times desc, word) filter (where times > 0) as ranked,
        list(word order by word) filter (where times > 0) as listed
    from counted group by person
)
select arrived.person,
    count(*) filter (where inside) as "count",
    coalesce(sum(amount) filter (where inside), 0) as "sum",
    min(amount) filter (where inside) as "min",
    max(amount) filter (where inside) as "max",
    first(amount order by happened, id) filter (where inside) as "first",
    last(amount order by happened, id) filter (where inside) as "last",
    any_value(ranked)[1] as most_frequent,
    coalesce(any_value(ranked)[1:3], []) as top_k,
    coalesce(any_value(listed), []) as unique_list,
    count(distinct word) filter (where inside) as unique_count,
    quantile_disc(amount, 0.9) filter (where inside) as percentile
from arrived join words on words.person = arrived.person group by arrived.person
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One purchase, or one line of an order. Instants are in microseconds since 1970."""

    id: str
    person: str
    at: int
    arrived: int
    amount: str
    """A decimal number, as the file spells it."""
    word: Any
    """What is counted by value: a text, or a whole number."""
    note: str | None
    """A few letters and a digit, for conditions on texts; nothing is noted of every fourth row."""


def cdnow(every: int) -> list[Row]:
    """Every so manieth customer of CDNOW: what each spent, and how many units it was."""
    with gzip.open(CDNOW_FILE, "rt") as file:
        parts = [line.split() for line in file][1:]
    at = duckdb.execute(
        "select epoch_us(strptime(unnest($1::text[]), '%Y%m%d'))", [[part[1] for part in parts]]
    ).fetchall()
    rows = [(part[0], when, part[3], int(part[2])) for part, (when,) in zip(parts, at, strict=True)]
    return _rows([one for one in rows if int(one[0]) % every == 0])


def shop(every: int) -> list[Row]:
    """Every so manieth order of the shop, line by line: its price, and what it was."""
    with gzip.open(SHOP_FILE, "rt", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    at = duckdb.execute(
        "select epoch_us(unnest($1::text[])::timestamp)", [[line["InvoiceDate"] for line in lines]]
    ).fetchall()
    return _rows(
        [
            (line["CustomerID"] or f"guest {line['InvoiceNo']}", when, line["UnitPrice"], line["StockCode"])
            for line, (when,) in zip(lines, at, strict=True)
            if int(line["InvoiceNo"].lstrip("CA")) % every == 0
        ]
    )


def _rows(parts: list[tuple[str, int, str, Any]]) -> list[Row]:
    return [
        Row(f"m{number:06}", person, at, at + (LATE if number % 17 == 0 else 0), amount, word, _note(number))
        for number, (person, at, amount, word) in enumerate(parts)
    ]


def _note(number: int) -> str | None:
    return None if number % 4 == 0 else f"{('ab', 'b', 'cab', 'a', 'xyz')[number % 5]}{number % 10}"


class Figures:
    """The rows in a table, to be asked."""

    def __init__(self, rows: list[Row]) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("set timezone = 'UTC'")
        columns = [[getattr(row, part) for row in rows] for part in PARTS]
        word = "bigint" if isinstance(rows[0].word, int) else "text"
        self._connection.execute(
            f"""
            create table rows as
            select id, person, word, note, amount::decimal(18, 3) as amount,
                make_timestamptz(happened) as happened, make_timestamptz(arrived) as arrived
            from (select unnest($1::text[]) as id, unnest($2::text[]) as person, unnest($3::bigint[]) as happened,
                unnest($4::bigint[]) as arrived, unnest($5::text[]) as amount, unnest($6::{word}[]) as word,
                unnest($7::text[]) as note)
            """,
            columns,
        )

    def holding(self, condition: str) -> int:
        """Of how many rows a condition holds."""
        (count,) = self._connection.execute(f"select count(*) from rows where {condition}").fetchall()[0]
        return int(count)

    def at(self, now: int, window: str, condition: str) -> dict[str, dict[str, Any]]:
        """Return each trait of each person of whom a row had come that the condition holds for."""
        asked = self._connection.execute(QUERY.format(window=WINDOWS[window], condition=condition), {"now": now})
        names = [column[0] for column in asked.description or ()]
        return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in asked.fetchall()}
