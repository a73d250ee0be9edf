"""
What the demo must come to, computed from the shop's file with nothing but `csv` and `decimal`.

It knows nothing of Obverse, nor of the demo's own reading of the file: two readings that agree prove
each other.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

SHOP_FILE = Path(__file__).parents[2] / "src/obverse/apps/demo/online_retail_first_50k.csv.gz"


@dataclass(kw_only=True)
class Person:
    """The demo's traits of one customer or guest. Without an event of its kind a sum is 0, all else None."""

    orders: int = 0
    lifetime_value: Decimal = Decimal(0)
    refunds: Decimal = Decimal(0)
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    favourite_product: str | None = None


@dataclass(kw_only=True)
class Figures:
    """All that the demo's summary says, and each person behind it."""

    events: Counter[str] = field(default_factory=Counter)
    """By name, `identify` among them."""

    merges: int = 0
    customers: dict[str, Person] = field(default_factory=dict)
    """By user id."""

    guests: dict[str, Person] = field(default_factory=dict)
    """By the number of their one invoice."""

    @property
    def events_accepted(self) -> int:
        return self.events.total()

    @property
    def profiles(self) -> int:
        return len(self.customers) + len(self.guests)

    @property
    def crm_contacts(self) -> int:
        """Everybody with an address: those who have said who they are, which they do with their first order."""
        return sum(person.orders > 0 for person in self.customers.values())

    @property
    def emails_sent(self) -> int:
        """One for each big spender with an address; nobody spends less afterwards, so nobody enters twice."""
        return sum(person.lifetime_value >= 1000 for person in self.customers.values())

    @property
    def audiences(self) -> dict[str, int]:
        people = [*self.customers.values(), *self.guests.values()]
        return {
            "big_spenders": sum(person.lifetime_value >= 1000 for person in people),
            "one_time_buyers": sum(person.orders == 1 for person in people),
            "refunded": sum(person.refunds > 0 for person in people),
        }


def shop_figures(path: Path = SHOP_FILE) -> Figures:
    """Play the file in the mind, invoice by invoice in order of time."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    invoices: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        invoices.setdefault(row["InvoiceNo"], []).append(row)

    figures = Figures()
    baskets: dict[int, Counter[str]] = {}
    # The file's times are of one width, so they sort as text.
    for number in sorted(invoices, key=lambda number: (invoices[number][0]["InvoiceDate"], number)):
        _tell(figures, baskets, number, invoices[number])

    for person in (*figures.customers.values(), *figures.guests.values()):
        basket = baskets.get(id(person), Counter())
        person.favourite_product = min(basket, key=lambda sku: (-basket[sku], sku), default=None)
    return figures


def _tell(figures: Figures, baskets: dict[int, Counter[str]], number: str, lines: list[dict[str, str]]) -> None:
    at = datetime.fromisoformat(lines[0]["InvoiceDate"] + "+00:00")
    customer = lines[0]["CustomerID"].split(".")[0]
    known_before = customer in figures.customers
    person = figures.customers.setdefault(customer, Person()) if customer else Person()
    if not customer:
        figures.guests[number] = person

    revenue = Decimal(0)
    for line in lines:
        revenue += Decimal(line["Quantity"]) * Decimal(line["UnitPrice"])

    if number[0] == "C":
        figures.events["Order Refunded"] += 1
        person.refunds -= revenue
        return
    if revenue <= 0:
        figures.events["Stock Adjusted"] += 1
        return

    figures.events["Product Added"] += len(lines)
    figures.events["Order Completed"] += 1
    baskets.setdefault(id(person), Counter()).update(line["StockCode"] for line in lines)
    if customer and person.orders == 0:
        figures.events["identify"] += 1
        # Here the visitor's profile, which the basket made, meets the customer's, if a refund or an
        # adjustment has made one already. Otherwise the user id is new and joins the visitor's profile.
        figures.merges += known_before
    person.orders += 1
    person.lifetime_value += revenue
    person.first_order_at = person.first_order_at or at
    person.last_order_at = at
