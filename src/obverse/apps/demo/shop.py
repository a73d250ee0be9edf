"""Six weeks of a real shop's invoices, told as the events that its Segment client would have sent."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from importlib.resources import files
from typing import Any

from obverse.apps.demo.people import made_traits

Event = dict[str, Any]
"""One item of a Segment batch. Money in it is `Decimal`: to be encoded as a JSON number, never by a float."""

MOST_PRODUCTS = 100
"""Lines that `Order Completed` lists at most: one invoice has 675, and an event may not exceed 32 KB."""

LIBRARY = {"name": "obverse-demo", "version": "1"}
"""Who says that it sent these events: us, in a Segment client's format, and not a client of Segment's."""


class Kind(Enum):
    """What an invoice is to the shop."""

    ORDER = "order"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice, spelled as the file spells it. A quantity below 0 went back."""

    sku: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One invoice with all its lines, in the order of the file."""

    number: str
    at: datetime
    """When its first line was written. A British shop in winter: its clock shows UTC."""

    customer: str | None
    """The customer's number without the file's `.0`; None for a guest."""

    country: str
    lines: tuple[Line, ...]

    @property
    def revenue(self) -> Decimal:
        """Quantity times unit price over all lines, exact, with two places or more; a refund's is below 0."""
        return sum((line.quantity * line.price for line in self.lines), start=Decimal("0.00"))

    @property
    def kind(self) -> Kind:
        """An invoice without revenue moves stock only: something broken, lost, or given away."""
        if self.number.startswith("C"):
            return Kind.REFUND
        return Kind.ORDER if self.revenue > 0 else Kind.ADJUSTMENT

    @property
    def visitor(self) -> str:
        """The anonymous id under which this invoice is told while nobody knows whose it is."""
        return f"visitor-{self.number}"


@dataclass(frozen=True, slots=True)
class Shop:
    """The invoices of a shop in order of time, ties by number."""

    invoices: tuple[Invoice, ...]

    @property
    def event_count(self) -> int:
        """How many events `events` tells."""
        orders = [invoice for invoice in self.invoices if invoice.kind is Kind.ORDER]
        introductions = {order.customer for order in orders} - {None}
        return len(self.invoices) + sum(len(order.lines) for order in orders) + len(introductions)

    def events(self, play: str = "demo") -> Iterator[Event]:
        """
        The whole story, one event after another, each with its `messageId`.

        An id is made of `play` and the event's place, so two plays of one name send the same ids, and
        whoever has seen the first counts nothing of the second. Ids sort as the events are told.
        """
        met: set[str] = set()
        told = (event for invoice in self.invoices for event in _tell(invoice, met))
        for place, event in enumerate(told):
            yield event | {"messageId": f"{play}-{place:06d}"}


def open_shop() -> Shop:
    """The shop of the package: 50,000 lines of *Online Retail*. See `NOTICE.md` beside this file."""
    packed = files(__package__).joinpath("online_retail_first_50k.csv.gz").read_bytes()
    with io.TextIOWrapper(gzip.open(io.BytesIO(packed)), encoding="utf-8", newline="") as text:
        return read_shop(csv.DictReader(text))


def read_shop(rows: Iterable[Mapping[str, str]]) -> Shop:
    """
    Gather rows, which are keyed by the file's column names, into invoices.

    Raises:
        KeyError, ValueError, decimal.InvalidOperation: a row is not of the Online Retail table.
    """
    gathered: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        gathered.setdefault(row["InvoiceNo"], []).append(row)
    invoices = [_invoice(number, its_rows) for number, its_rows in gathered.items()]
    return Shop(tuple(sorted(invoices, key=lambda invoice: (invoice.at, invoice.number))))


def _invoice(number: str, rows: list[Mapping[str, str]]) -> Invoice:
    """The first row speaks for the whole: in the file all rows of an invoice name the same customer."""
    first = rows[0]
    return Invoice(
        number=number,
        at=datetime.fromisoformat(first["InvoiceDate"]).replace(tzinfo=UTC),
        customer=first["CustomerID"].removesuffix(".0") or None,
        country=first["Country"],
        lines=tuple(Line(row["StockCode"], int(row["Quantity"]), Decimal(row["UnitPrice"])) for row in rows),
    )


def _tell(invoice: Invoice, met: set[str]) -> Iterator[Event]:
    """One invoice's events. `met` holds the customers who have ordered before, and gains this one."""
    if invoice.kind is Kind.ORDER:
        yield from _tell_order(invoice, met)
    elif invoice.kind is Kind.REFUND:
        refund = {"order_id": invoice.number, "revenue": -invoice.revenue}
        yield _track(invoice, "Order Refunded", refund, _sender(invoice))
    else:
        yield _track(invoice, "Stock Adjusted", {"order_id": invoice.number}, _sender(invoice))


def _tell_order(order: Invoice, met: set[str]) -> Iterator[Event]:
    """A customer's first order begins as a stranger's: with the basket full they say who they are."""
    stranger = order.customer not in met
    basket_sender = {"anonymousId": order.visitor, "userId": None} if stranger else _sender(order)
    for line in order.lines:
        added = {"order_id": order.number, **_product(line)}
        yield _track(order, "Product Added", added, basket_sender)

    if order.customer is not None and stranger:
        met.add(order.customer)
        both = {"anonymousId": order.visitor, "userId": order.customer}
        yield _message(order, both) | {
            "type": "identify",
            "traits": made_traits(order.customer, order.country),
        }

    completed = {
        "order_id": order.number,
        "revenue": order.revenue,
        "product_lines": len(order.lines),
        "products": [_product(line) for line in order.lines[:MOST_PRODUCTS]],
    }
    yield _track(order, "Order Completed", completed, _sender(order))


def _product(line: Line) -> dict[str, Any]:
    return {"sku": line.sku, "quantity": line.quantity, "price": line.price}


def _sender(invoice: Invoice) -> dict[str, str | None]:
    """The customer by number alone, or the guest. Segment's client sends null for the id that it has not."""
    if invoice.customer is None:
        return {"anonymousId": invoice.visitor, "userId": None}
    return {"anonymousId": None, "userId": invoice.customer}


def _track(invoice: Invoice, name: str, properties: dict[str, Any], sender: Mapping[str, str | None]) -> Event:
    return _message(invoice, sender) | {"type": "track", "event": name, "properties": properties}


def _message(invoice: Invoice, sender: Mapping[str, str | None]) -> Event:
    """What every event has. No `sentAt`: it would mark the time as a client's clock, to be corrected."""
    return {
        "integrations": {},
        "timestamp": invoice.at.isoformat(timespec="milliseconds"),
        "context": {"library": LIBRARY},
        **sender,
    }
