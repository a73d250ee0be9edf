"""Rows become the events that an SDK would have sent, each always the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from load_steps import events_of, mapped, write
from obverse.adapters.row_files import open_rows
from obverse.core import wire
from obverse.core.loads import Refusal, Translator

ORDERS = "order,customer_id,email,when,total,paid,note\n"


def translated(path: Path, *, file: str = "digest", **wishes: Any) -> list[dict[str, Any] | str]:
    """The events of a file's rows, or column and reason of those that are refused."""
    translate, found = Translator(mapped(path, **wishes), file=file), []
    for row in open_rows(path).rows():
        try:
            found.append(msgspec.json.decode(translate(row)))
        except Refusal as refusal:
            found.append(f"{refusal.column}: {refusal.reason}")
    return found


def test_a_row_of_people_is_an_identify(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "customer_id,email,age,city\n 7 ,ada@example.com,36,\n")
    (event,) = events_of(path)
    assert event.pop("messageId").startswith("load-")
    assert event == {"type": "identify", "userId": "7", "traits": {"email": "ada@example.com", "age": 36}}


def test_a_row_of_what_happened_is_a_track(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", ORDERS + 'o1,7,a@b.c,31.05.2024 10:00,"1.250,90",ja," as is "\n')
    wishes = {"event": "Order Completed", "map": {"timestamp": "when"}, "zone": "Europe/Berlin"}
    (event,) = events_of(path, **wishes)
    event.pop("messageId")
    assert event == {
        "type": "track",
        "event": "Order Completed",
        "userId": "7",
        "timestamp": "2024-05-31T08:00:00Z",
        "properties": {"order": "o1", "email": "a@b.c", "total": 1250.90, "paid": True, "note": " as is "},
    }


def test_the_collector_takes_what_is_made(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", ORDERS + "o1,7,a@b.c,2024-05-31 10:00,5.10,yes,x\n")
    translate = Translator(mapped(path, event="Seen", map={"timestamp": "when"}), file="d")
    body = b'{"batch":[' + b",".join(translate(row) for row in open_rows(path).rows()) + b"]}"
    message = wire.open_body(body, batch=True, limits=wire.Limits())
    reading = wire.read_events(
        message, call=None, source="load", received_at=2_000_000_000_000_000, new_id=str, limits=wire.Limits()
    )
    (event,) = reading.events
    # The row's time, as it stands: nothing of it is taken for a clock that goes wrong.
    assert (event.timestamp, event.sent_at) == (1_717_149_600_000_000, None)
    assert event.properties == b'{"order":"o1","email":"a@b.c","total":5.10,"paid":true,"note":"x"}'


def test_of_whom_only_the_address_is_known_has_an_id_made_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "E-Mail,plan\nAda@example.com,pro\nada@example.com ,free\nbob@example.com,pro\n")
    first, second, third = (event["anonymousId"] for event in events_of(path))
    assert first == second != third


def test_a_message_id_is_of_file_and_row_and_of_what_it_becomes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user_id,n\n1,5\n1,5\n")

    def ids(**more: Any) -> list[str]:
        return [event["messageId"] for event in translated(path, **more) if isinstance(event, dict)]

    assert ids() == ids()
    assert len({*ids(), *ids(file="another"), *ids(event="A"), *ids(event="B")}) == 8
    # An identify that is corrected writes anew; a track is never counted twice.
    assert ids() != ids(types={"n": "text"})
    assert ids(event="A") == ids(event="A", types={"n": "text"})
    assert all(len(one) < 100 for one in ids())


def test_a_column_may_tell_rows_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "order_id,user_id\n9,1\n9,1\n,1\n")
    first, second, third = translated(path, event="Order Completed", message_id="order_id")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["messageId"] == second["messageId"]
    assert third == "order_id: is empty: it tells rows apart"
    refund = translated(path, event="Order Refunded", message_id="order_id")[0]
    assert isinstance(refund, dict)
    assert refund["messageId"] != first["messageId"]


def test_a_row_that_cannot_be_one_is_refused_with_its_column(tmp_path: Path) -> None:
    good = "o1,7,a@b.c,2024-05-31 10:00,5.10,yes,x\n"
    bad = (
        "o2,,,2024-05-31 10:00,5.10,yes,x\n"
        "o3,7,a@b.c,,5.10,yes,x\n"
        "o4,7,a@b.c,tomorrow,5.10,yes,x\n"
        "o5,7,a@b.c,2024-05-31 10:00,a lot,yes,x\n"
        "o6,7,a@b.c,2024-05-31 10:00,5.10,perhaps,x\n"
        "o7,7,a@b.c\n"
    )
    path = write(tmp_path, "a.csv", ORDERS + good * 1000 + bad)
    found = translated(path, event="Seen", map={"timestamp": "when"})[1000:]
    assert found == [
        "customer_id: nothing says whose this is: 'customer_id' and 'email' empty",
        "when: is empty: it says when it happened",
        "when: 'tomorrow' is no time such as 2024-05-31T18:30:00Z",
        "total: 'a lot' is no decimal such as 1234.56",
        "paid: 'perhaps' is no boolean (true or false, yes or no)",
        ": there are 3 fields, and 7 columns; is a delimiter or a quote missing or left over?",
    ]


def test_a_time_that_is_read_as_text_is_one_or_is_refused(tmp_path: Path) -> None:
    """The collector would take the row, as of now."""
    path = write(tmp_path, "a.csv", "user_id,at\n1,20240531T100000Z\n2,31.05.2024\n3,\n")
    good, *bad = translated(path, event="Seen", map={"timestamp": "at"}, types={"at": "text"})
    assert isinstance(good, dict)
    assert good["timestamp"] == "20240531T100000Z"
    assert bad == [
        "at: '31.05.2024' is no time such as 2024-05-31T18:30:00Z",
        "at: is empty: it says when it happened",
    ]


def test_what_has_its_type_in_json_keeps_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.jsonl",
        '{"user_id": 7, "zip": "01067", "total": 12.50, "tags": ["a", {"b": null}], "none": null, "at": 1717149600}\n',
    )
    translate = Translator(mapped(path, event="Seen", map={"timestamp": "at"}), file="d")
    (row,) = open_rows(path).rows()
    event = translate(row)
    assert event.endswith(b'"properties":{"zip":"01067","total":12.50,"tags":["a", {"b": null}],"none":null}}')
    assert msgspec.json.decode(event)["userId"] == "7"
    assert msgspec.json.decode(event)["timestamp"] == "2024-05-31T10:00:00Z"


@pytest.mark.parametrize("odd", ["[1]", "{}", "true"])
def test_an_id_that_is_none_is_refused(tmp_path: Path, odd: str) -> None:
    path = write(tmp_path, "a.jsonl", f'{{"user_id": {odd}, "email": "a@b.c"}}\n')
    assert translated(path) == [f"user_id: an id is text or a number, not {odd}"]


def test_a_whole_event_goes_as_it_is_but_for_who_sent_it_when(tmp_path: Path) -> None:
    whole = {
        "type": "track",
        "event": "A",
        "userId": "1",
        "messageId": "m1",
        "timestamp": "2020-01-01T00:00:00Z",
        "originalTimestamp": "2020-01-01T00:00:09Z",
        "sentAt": "2020-01-01T00:00:10Z",
        "receivedAt": "2020-01-01T00:00:01Z",
        "writeKey": "wk_other",
        "properties": {"a": 1},
    }
    nameless = {"type": "page", "anonymousId": "x"}
    path = write(tmp_path, "a.jsonl", b"\n".join(map(msgspec.json.encode, (whole, nameless))))
    first, second = events_of(path)
    kept = ("type", "event", "userId", "messageId", "timestamp", "properties")
    assert first == {name: whole[name] for name in kept}
    assert second.pop("messageId").endswith("-2")
    assert second == nameless
