"""One contact, pages of them, and their properties, as HubSpot documents them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hubspot_steps import CONTACTS, PROPERTIES, Account, account, assert_refused


@pytest.fixture
async def hubspot(tmp_path: Path) -> AsyncIterator[Account]:
    async with account(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("given", [None, "Bearer other", "pat-test", "Basic cGF0LXRlc3Q=", "Bearer pat-test\xe9"])
async def test_a_request_without_the_token_is_refused(hubspot: Account, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    answer = await hubspot.send("GET", CONTACTS, headers=headers)
    body = assert_refused(answer, 401, "INVALID_AUTHENTICATION")
    assert body["message"].startswith("Authentication credentials not found.")


async def test_a_contact_is_created_read_changed_and_archived(hubspot: Account) -> None:
    created = await hubspot.ask("POST", CONTACTS, {"properties": {"email": " Ada@Example.COM ", "firstname": "Ada"}})
    assert created.status == 201
    number = created.json["id"]
    assert created.json["properties"] == {
        "createdate": "2023-11-14T22:13:20Z",
        "email": "ada@example.com",
        "firstname": "Ada",
        "hs_all_contact_vids": number,
        "hs_email_domain": "example.com",
        "hs_is_contact": "true",
        "hs_object_id": number,
        "hs_object_source": "INTEGRATION",
        "hs_object_source_id": "54321",
        "lastmodifieddate": "2023-11-14T22:13:20Z",
    }
    read = await hubspot.ask("GET", f"{CONTACTS}/{number}")
    assert read.json["properties"] == {
        "createdate": "2023-11-14T22:13:20Z",
        "email": "ada@example.com",
        "firstname": "Ada",
        "hs_object_id": number,
        "lastmodifieddate": "2023-11-14T22:13:20Z",
        "lastname": None,
    }

    hubspot.clock.now += 0.25
    changed = await hubspot.ask(
        "PATCH", f"{CONTACTS}/ADA%40example.com?idProperty=email", {"properties": {"firstname": "", "lastname": "L"}}
    )
    assert changed.status == 200
    assert changed.json["updatedAt"] == "2023-11-14T22:13:20.250Z"
    assert (changed.json["properties"]["firstname"], changed.json["properties"]["lastname"]) == (None, "L")

    assert (await hubspot.ask("DELETE", f"{CONTACTS}/{number}")).status == 204
    assert_refused(await hubspot.ask("GET", f"{CONTACTS}/{number}"), 404, "OBJECT_NOT_FOUND")
    assert_refused(await hubspot.ask("PATCH", f"{CONTACTS}/{number}", {"properties": {}}), 404, "OBJECT_NOT_FOUND")
    assert (await hubspot.ask("DELETE", f"{CONTACTS}/{number}")).status == 204
    archived = (await hubspot.ask("GET", f"{CONTACTS}/{number}?archived=true")).json
    assert (archived["archived"], archived["archivedAt"]) == (True, "2023-11-14T22:13:20.250Z")


async def test_a_write_that_changes_nothing_does_not_count_as_a_change(hubspot: Account) -> None:
    number = await hubspot.create(email="a@b.co", firstname="A")
    hubspot.clock.now += 60
    answer = await hubspot.ask("PATCH", f"{CONTACTS}/{number}", {"properties": {"firstname": "A"}})
    assert answer.json["updatedAt"] == answer.json["createdAt"]


async def test_an_address_belongs_to_one_contact(hubspot: Account) -> None:
    first = await hubspot.create(email="a@b.co")
    second = await hubspot.create(email="c@d.co")
    conflict = assert_refused(await hubspot.ask("POST", CONTACTS, {"properties": {"email": "A@B.co"}}), 409, "CONFLICT")
    assert conflict["message"] == f"Contact already exists. Existing ID: {first}"
    taken = await hubspot.ask("PATCH", f"{CONTACTS}/{second}", {"properties": {"email": "a@b.co"}})
    assert f"on {second}. {first} already has that value." in assert_refused(taken, 400, "VALIDATION_ERROR")["message"]
    # Given up, or archived with its contact, it is free again.
    await hubspot.ask("PATCH", f"{CONTACTS}/{first}", {"properties": {"email": "new@b.co"}})
    assert (await hubspot.ask("PATCH", f"{CONTACTS}/{second}", {"properties": {"email": "a@b.co"}})).status == 200
    await hubspot.ask("DELETE", f"{CONTACTS}/{first}")
    assert await hubspot.create(email="new@b.co") not in {first, second}


@pytest.mark.parametrize(
    ("name", "value", "code", "message"),
    [
        ("zzz", "1", "PROPERTY_DOESNT_EXIST", 'Property "zzz" does not exist'),
        ("email", "example.lcom@", "INVALID_EMAIL", "Email address example.lcom@ is invalid"),
        ("email", "a..b@c.co", "INVALID_EMAIL", "Email address a..b@c.co is invalid"),
        ("email", "a@localhost", "INVALID_EMAIL", "Email address a@localhost is invalid"),
        ("annualrevenue", "much", "INVALID_NUMBER", "much was not a valid number."),
        ("annualrevenue", "nan", "INVALID_NUMBER", "nan was not a valid number."),
        ("closedate", "tomorrow", "INVALID_LONG", "tomorrow was not a valid long."),
        ("closedate", "9" * 18, "INVALID_LONG", "9" * 18 + " was not a valid long."),
        ("hs_email_optout", "maybe", "INVALID_OPTION", "maybe was not one of the allowed options: [true, false]"),
        ("hs_object_id", "7", "READ_ONLY_VALUE", '"hs_object_id" is a read only property; its value cannot be set.'),
        ("firstname", "x" * 65_537, "STRING_TOO_LONG", "The value has 65537 characters; the most is 65536"),
    ],
)
async def test_a_value_that_is_not_valid_is_told_as_hubspot_tells_it(
    hubspot: Account, name: str, value: str, code: str, message: str
) -> None:
    answer = await hubspot.ask("POST", CONTACTS, {"properties": {name: value, "lastname": "L"}})
    body = assert_refused(answer, 400, "VALIDATION_ERROR")
    prefix = "Property values were not valid: "
    assert body["message"].startswith(prefix)
    assert json.loads(body["message"].removeprefix(prefix)) == [
        {
            "isValid": False,
            "message": message,
            "error": code,
            "name": name,
            "localizedErrorMessage": message,
            "portalId": 62515,
        }
    ]
    assert body["errors"] == [{"message": message, "code": code, "context": {"propertyName": [name]}}]
    assert (await hubspot.figures())["contacts"] == 0


async def test_every_flaw_is_told_at_once(hubspot: Account) -> None:
    answer = await hubspot.ask("POST", CONTACTS, {"properties": {"email": "x", "zzz": "1"}})
    assert [error["code"] for error in answer.json["errors"]] == ["INVALID_EMAIL", "PROPERTY_DOESNT_EXIST"]


@pytest.mark.parametrize(
    "email", ["a@b.co", "a+tag@sub.example.com", "o'hara@x-y.org", "ü@bücher.example", "a_b.c@d.info"]
)
async def test_addresses_that_people_have_are_taken(hubspot: Account, email: str) -> None:
    assert (await hubspot.properties(await hubspot.create(email=email), "email"))["email"] == email


async def test_values_are_kept_as_hubspot_writes_them(hubspot: Account) -> None:
    await hubspot.define("born", "date", "date")
    await hubspot.define("score", "number", "number")
    answer = await hubspot.ask(
        "POST",
        CONTACTS,
        {"properties": {"closedate": 1700000000123, "born": "946684800000", "score": 1.5, "hs_email_optout": True}},
    )
    told = answer.json["properties"]
    assert told["closedate"] == "2023-11-14T22:13:20.123Z"
    assert told["born"] == "2000-01-01"
    assert (told["score"], told["hs_email_optout"]) == ("1.5", "true")
    noon = await hubspot.ask("POST", CONTACTS, {"properties": {"born": "2000-01-01T12:30:00Z"}})
    assert noon.json["errors"][0]["message"] == "2000-01-01T12:30:00Z is at 12:30:0.0 UTC, not midnight!"


async def test_choices_are_added_with_a_semicolon_in_front(hubspot: Account) -> None:
    options = [{"label": value.upper(), "value": value} for value in ("a", "b", "c")]
    await hubspot.define("tastes", "enumeration", "checkbox", options=options)
    number = await hubspot.create(tastes="a;b")
    await hubspot.ask("PATCH", f"{CONTACTS}/{number}", {"properties": {"tastes": ";c;a"}})
    assert (await hubspot.properties(number, "tastes"))["tastes"] == "a;b;c"


async def test_a_lifecycle_stage_moves_forward_only_until_it_is_cleared(hubspot: Account) -> None:
    number = await hubspot.create(lifecyclestage="customer")
    for value, after in (("lead", "customer"), ("", None), ("lead", "lead")):
        await hubspot.ask("PATCH", f"{CONTACTS}/{number}", {"properties": {"lifecyclestage": value}})
        assert (await hubspot.properties(number, "lifecyclestage"))["lifecyclestage"] == after


async def test_history_tells_each_value_with_its_source(hubspot: Account) -> None:
    number = await hubspot.create(firstname="A")
    hubspot.clock.now += 1
    await hubspot.ask("PUT", f"/sandbox/contacts/{number}", {"properties": {"firstname": "B"}})
    answer = await hubspot.ask("GET", f"{CONTACTS}/{number}?propertiesWithHistory=firstname")
    history = answer.json["propertiesWithHistory"]["firstname"]
    assert [(one["value"], one["sourceType"]) for one in history] == [("B", "CRM_UI"), ("A", "INTEGRATION")]
    assert set(history[0]) == {"value", "timestamp", "sourceType", "sourceId"}


async def test_pages_follow_the_cursor_to_the_end(hubspot: Account) -> None:
    numbers = [await hubspot.create(email=f"p{at}@b.co") for at in range(5)]
    await hubspot.ask("DELETE", f"{CONTACTS}/{numbers[1]}")
    seen: list[str] = []
    target = f"{CONTACTS}?limit=2&properties=email,phone&archived=False"
    while True:
        page = (await hubspot.ask("GET", target)).json
        seen += [one["id"] for one in page["results"]]
        if "paging" not in page:
            break
        link = page["paging"]["next"]["link"]
        assert f"after={page['paging']['next']['after']}" in link
        target = link.removeprefix("http://127.0.0.1:8080")
    assert seen == [numbers[0], *numbers[2:]]
    assert set(page["results"][0]["properties"]) == {"createdate", "email", "hs_object_id", "lastmodifieddate", "phone"}
    archived = (await hubspot.ask("GET", f"{CONTACTS}?archived=true")).json
    assert [one["id"] for one in archived["results"]] == [numbers[1]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "after=x",
        "after=-1",
        "archived=perhaps",
        "limit=51&propertiesWithHistory=email",
    ],
)
async def test_a_page_that_cannot_be_is_refused(hubspot: Account, query: str) -> None:
    assert_refused(await hubspot.ask("GET", f"{CONTACTS}?{query}"), 400, "VALIDATION_ERROR")


async def test_an_erased_contact_is_nowhere_and_an_unknown_address_is_blocked(hubspot: Account, tmp_path: Path) -> None:
    number = await hubspot.create(email="gone@b.co", firstname="Wilhelmina")
    erase = f"{CONTACTS}/gdpr-delete"
    assert (await hubspot.ask("POST", erase, {"objectId": "GONE@b.co", "idProperty": "email"})).status == 204
    assert_refused(await hubspot.ask("GET", f"{CONTACTS}/{number}?archived=true"), 404, "OBJECT_NOT_FOUND")
    with sqlite3.connect(tmp_path / "hubspot.sqlite3") as db:
        assert not db.execute("SELECT 1 FROM contacts").fetchall()
    db.close()
    assert_refused(await hubspot.ask("POST", erase, {"objectId": number}), 404, "OBJECT_NOT_FOUND")
    await hubspot.create(email="gone@b.co")
    assert (await hubspot.ask("POST", erase, {"objectId": "never@b.co", "idProperty": "email"})).status == 204
    answer = await hubspot.ask("POST", CONTACTS, {"properties": {"email": "never@b.co"}})
    assert answer.json["errors"][0]["code"] == "INVALID_EMAIL"


async def test_the_usual_properties_are_there(hubspot: Account) -> None:
    listed = {one["name"]: one for one in (await hubspot.ask("GET", PROPERTIES)).json["results"]}
    usual = {"email", "firstname", "lastname", "phone", "company", "lifecyclestage", "hs_object_id", "createdate"}
    assert usual | {"lastmodifieddate", "hs_email_optout"} <= set(listed)
    assert listed["email"]["hasUniqueValue"]
    assert listed["hs_object_id"]["modificationMetadata"]["readOnlyValue"]
    stages = [option["value"] for option in listed["lifecyclestage"]["options"]]
    assert stages[:2] == ["subscriber", "lead"]


async def test_a_property_is_created_once_and_then_taken(hubspot: Account) -> None:
    await hubspot.define("crm_ref", hasUniqueValue=True, description="ours")
    read = (await hubspot.ask("GET", f"{PROPERTIES}/crm_ref")).json
    assert (read["label"], read["type"], read["fieldType"], read["description"]) == (
        "Crm_Ref",
        "string",
        "text",
        "ours",
    )
    assert not read["hubspotDefined"]
    again = {"name": "crm_ref", "label": "x", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    assert_refused(await hubspot.ask("POST", PROPERTIES, again), 409, "OBJECT_ALREADY_EXISTS")
    first = await hubspot.create(crm_ref="Seven")
    assert (await hubspot.ask("GET", f"{CONTACTS}/Seven?idProperty=crm_ref")).json["id"] == first
    assert_refused(await hubspot.ask("POST", CONTACTS, {"properties": {"crm_ref": "Seven"}}), 409, "CONFLICT")
    assert_refused(await hubspot.ask("GET", f"{PROPERTIES}/nope"), 404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Upper"},
        {"name": None},
        {"type": "float"},
        {"fieldType": "file_upload"},
        {"groupName": "nowhere"},
        {"type": "enumeration", "fieldType": "select"},
        {"type": "enumeration", "fieldType": "select", "options": [{"label": "a", "value": "a"}] * 2},
        {"options": "a"},
        {"displayOrder": "first"},
        {"hidden": "yes"},
    ],
)
async def test_a_property_that_cannot_be_is_refused(hubspot: Account, wrong: dict[str, Any]) -> None:
    body = {"name": "ok", "label": "x", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    assert_refused(await hubspot.ask("POST", PROPERTIES, {**body, **wrong}), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("method", "path", "status", "category"),
    [
        ("GET", "/crm/v3/objects/spaceships", 404, "OBJECT_NOT_FOUND"),
        ("PUT", CONTACTS, 405, "VALIDATION_ERROR"),
        ("GET", f"{CONTACTS}/batch/read", 405, "VALIDATION_ERROR"),
    ],
)
async def test_what_has_no_route_gets_the_error_body_too(
    hubspot: Account, method: str, path: str, status: int, category: str
) -> None:
    answer = await hubspot.ask(method, path)
    assert_refused(answer, status, category)
    assert "x-hubspot-ratelimit-daily" in answer.headers


async def test_a_body_that_is_not_json_is_refused(hubspot: Account) -> None:
    headers = {"authorization": "Bearer pat-test", "content-type": "application/json"}
    answer = await hubspot.send("POST", CONTACTS, body=b'{"properties":\n {"a" 1}}', headers=headers)
    assert "on line 2, column" in assert_refused(answer, 400, "VALIDATION_ERROR")["message"]
    answer = await hubspot.send("POST", CONTACTS, body=b"a=1", headers={**headers, "content-type": "text/plain"})
    assert_refused(answer, 415, "VALIDATION_ERROR")
    answer = await hubspot.send("POST", CONTACTS, body=b" " * (10 * 1024 * 1024 + 1), headers=headers)
    assert_refused(answer, 413, "VALIDATION_ERROR")


async def test_the_disk_has_what_is_committed(hubspot: Account) -> None:
    store = hubspot.sandbox._store
    pragmas = [
        await hubspot.sandbox._inside(store._db.execute(f"PRAGMA {name}").fetchone)
        for name in ("journal_mode", "synchronous")
    ]
    assert pragmas == [("wal",), (2,)]


async def test_what_was_answered_is_in_the_file_before_the_sandbox_closes(tmp_path: Path) -> None:
    async with account(tmp_path) as first:
        await first.define("crm_ref")
        number = await first.create(email="a@b.co", crm_ref="7")
        # Another process on the same file, while the first has not let go of it: as after a kill.
        async with account(tmp_path) as second:
            assert (await second.properties(number, "crm_ref"))["crm_ref"] == "7"
            assert_refused(await second.ask("POST", CONTACTS, {"properties": {"email": "a@b.co"}}), 409, "CONFLICT")
