"""Up to a hundred contacts at once: what is written, what is told, and in which order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hubspot_steps import CONTACTS, Account, account, assert_refused


@pytest.fixture
async def hubspot(tmp_path: Path) -> AsyncIterator[Account]:
    async with account(tmp_path) as opened:
        yield opened


def upserts(*emails: str, traced: bool = False) -> dict[str, Any]:
    inputs = [{"id": email, "idProperty": "email", "properties": {"firstname": email[0]}} for email in emails]
    traces = [{"objectWriteTraceId": f"t{at}"} if traced else {} for at in range(len(inputs))]
    return {"inputs": [{**one, **trace} for one, trace in zip(inputs, traces, strict=True)]}


async def upsert(hubspot: Account, body: dict[str, Any]) -> Any:
    return await hubspot.ask("POST", f"{CONTACTS}/batch/upsert", body)


async def test_an_upsert_tells_which_are_new(hubspot: Account) -> None:
    known = await hubspot.create(email="b@x.co")
    answer = await upsert(hubspot, upserts("a@x.co", "B@X.co", "c@x.co", traced=True))
    assert answer.status == 200
    body = answer.json
    assert set(body) == {"status", "results", "startedAt", "completedAt"}
    assert body["status"] == "COMPLETE"
    told = {one["objectWriteTraceId"]: one for one in body["results"]}
    assert {trace: one["new"] for trace, one in told.items()} == {"t0": True, "t1": False, "t2": True}
    assert told["t1"]["id"] == known
    assert told["t0"]["properties"]["email"] == "a@x.co"


async def test_the_same_upsert_twice_leaves_what_one_leaves(hubspot: Account) -> None:
    first = (await upsert(hubspot, upserts("a@x.co", "b@x.co"))).json["results"]
    again = (await upsert(hubspot, upserts("a@x.co", "b@x.co"))).json["results"]
    assert {one["id"] for one in first} == {one["id"] for one in again}
    assert not any(one["new"] for one in again)


async def test_results_do_not_come_in_the_order_of_the_inputs(hubspot: Account) -> None:
    emails = [f"u{at:02}@x.co" for at in range(40)]
    results = (await upsert(hubspot, upserts(*emails))).json["results"]
    told = [one["properties"]["email"] for one in results]
    assert sorted(told) == emails
    assert told not in (emails, emails[::-1])


async def test_one_bad_input_refuses_a_batch_without_traces(hubspot: Account) -> None:
    body = assert_refused(await upsert(hubspot, upserts("a@x.co", "nope", "c@x.co")), 400, "VALIDATION_ERROR")
    assert body["errors"][0]["code"] == "INVALID_EMAIL"
    assert (await hubspot.figures())["contacts"] == 0


async def test_with_traces_the_others_are_written(hubspot: Account) -> None:
    """The shape is that of the example on HubSpot's page about errors."""
    answer = await upsert(hubspot, upserts("a@x.co", "nope", "c@x.co", traced=True))
    assert answer.status == 207
    body = answer.json
    assert (body["status"], body["numErrors"]) == ("COMPLETE", 1)
    assert {one["objectWriteTraceId"] for one in body["results"]} == {"t0", "t2"}
    (error,) = body["errors"]
    assert set(error) == {"status", "category", "message", "context"}
    assert (error["status"], error["category"]) == ("error", "VALIDATION_ERROR")
    assert error["context"] == {"objectWriteTraceId": ["t1"]}
    assert json.loads(error["message"].partition(": ")[2])[0]["error"] == "INVALID_EMAIL"
    assert (await hubspot.figures())["contacts"] == 2


async def test_a_trace_that_is_not_unique_enables_nothing(hubspot: Account) -> None:
    batch = upserts("a@x.co", "nope", traced=True)
    batch["inputs"][1]["objectWriteTraceId"] = "t0"
    assert_refused(await upsert(hubspot, batch), 400, "VALIDATION_ERROR")
    del batch["inputs"][1]["objectWriteTraceId"]
    assert_refused(await upsert(hubspot, batch), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("traced", [True, False])
async def test_one_contact_twice_in_a_batch_is_refused(hubspot: Account, *, traced: bool) -> None:
    answer = await upsert(hubspot, upserts("a@x.co", "b@x.co", "A@x.co", traced=traced))
    body = assert_refused(answer, 400, "VALIDATION_ERROR")
    assert body["message"] == "Duplicate IDs found in batch input: [a@x.co]. IDs must be unique"
    assert body["context"] == {"ids": ["a@x.co"]}


@pytest.mark.parametrize("route", ["create", "read", "update", "upsert", "archive"])
async def test_a_hundred_inputs_and_no_more(hubspot: Account, route: str) -> None:
    one: dict[str, Any] = {"id": "x@x.co", "idProperty": "email", "properties": {}}
    answer = await hubspot.ask("POST", f"{CONTACTS}/batch/{route}", {"inputs": [one] * 101})
    body = assert_refused(answer, 400, "VALIDATION_ERROR")
    assert body["message"].startswith("The maximum number of inputs supported in a batch is 100.")
    full = {"inputs": [{"id": str(at), "properties": {}} for at in range(100)]}
    assert (await hubspot.ask("POST", f"{CONTACTS}/batch/{route}", full)).status in {200, 201, 204, 207}


async def test_a_record_id_is_updated_and_never_made(hubspot: Account) -> None:
    number = await hubspot.create(email="a@x.co")
    body = {"inputs": [{"id": one, "properties": {"firstname": "A"}} for one in (number, "999999999")]}
    for route in ("update", "upsert"):
        answer = await hubspot.ask("POST", f"{CONTACTS}/batch/{route}", body)
        assert answer.status == 207
        assert [one["id"] for one in answer.json["results"]] == [number]
        (error,) = answer.json["errors"]
        assert (error["category"], error["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["999999999"]})
    assert (await hubspot.figures())["contacts"] == 1


async def test_each_input_has_its_result_though_two_name_one_contact(hubspot: Account) -> None:
    number = await hubspot.create(email="a@x.co")
    batch = upserts("a@x.co", traced=True)
    batch["inputs"].append({"id": number, "properties": {"lastname": "L"}, "objectWriteTraceId": "by id"})
    results = (await upsert(hubspot, batch)).json["results"]
    assert {one["objectWriteTraceId"] for one in results} == {"t0", "by id"}


async def test_what_is_not_found_is_told_with_its_trace(hubspot: Account) -> None:
    body = {"inputs": [{"id": "7", "properties": {}, "objectWriteTraceId": "x"}]}
    answer = await hubspot.ask("POST", f"{CONTACTS}/batch/update", body)
    assert answer.json["errors"][0]["context"] == {"ids": ["7"], "objectWriteTraceId": ["x"]}


async def test_a_property_that_is_not_unique_identifies_nobody(hubspot: Account) -> None:
    body = {"inputs": [{"id": "A", "idProperty": "firstname", "properties": {}}]}
    refused = assert_refused(await upsert(hubspot, body), 400, "VALIDATION_ERROR")
    assert refused["message"] == "Unable to perform update/upsert by non-unique 0-1 property firstname"


async def test_an_upsert_by_a_property_of_ones_own(hubspot: Account) -> None:
    await hubspot.define("crm_ref", hasUniqueValue=True)
    body = {"inputs": [{"id": "7", "idProperty": "crm_ref", "properties": {"email": "a@x.co"}}]}
    first = (await upsert(hubspot, body)).json["results"][0]
    assert (first["new"], first["properties"]["crm_ref"]) == (True, "7")
    body["inputs"][0]["properties"] = {"email": "other@x.co"}
    again = (await upsert(hubspot, body)).json["results"][0]
    assert (again["new"], again["id"], again["properties"]["email"]) == (False, first["id"], "other@x.co")


async def test_a_batch_of_creations(hubspot: Account) -> None:
    known = await hubspot.create(email="a@x.co")
    inputs = [{"properties": {"email": email}, "associations": []} for email in ("b@x.co", "a@x.co")]
    route = f"{CONTACTS}/batch/create"
    conflict = assert_refused(await hubspot.ask("POST", route, {"inputs": inputs}), 409, "CONFLICT")
    assert conflict["message"] == f"Contact already exists. Existing ID: {known}"
    traced = [{**one, "objectWriteTraceId": str(at)} for at, one in enumerate(inputs)]
    answer = await hubspot.ask("POST", route, {"inputs": traced})
    assert (answer.status, answer.json["errors"][0]["category"]) == (207, "CONFLICT")
    answer = await hubspot.ask("POST", route, {"inputs": [{"properties": {"email": "c@x.co"}}]})
    assert answer.status == 201
    assert (await hubspot.figures())["contacts"] == 3


async def test_a_batch_is_read_by_address(hubspot: Account) -> None:
    numbers = [await hubspot.create(email=f"{name}@x.co", phone="1") for name in "abc"]
    body = {"idProperty": "email", "properties": ["phone"], "inputs": [{"id": f"{name}@x.co"} for name in "cxab"]}
    answer = await hubspot.ask("POST", f"{CONTACTS}/batch/read", body)
    assert answer.status == 207
    assert {one["id"] for one in answer.json["results"]} == set(numbers)
    assert answer.json["results"][0]["properties"]["phone"] == "1"
    assert answer.json["errors"] == [
        {
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some CONTACT objects, they may be deleted or not exist. "
            "Check that ids are valid.",
            "context": {"ids": ["x@x.co"]},
        }
    ]
    many = {"propertiesWithHistory": ["phone"], "inputs": [{"id": str(at)} for at in range(51)]}
    refused = assert_refused(await hubspot.ask("POST", f"{CONTACTS}/batch/read", many), 400, "VALIDATION_ERROR")
    assert "property histories is 50" in refused["message"]


async def test_a_batch_is_archived_and_what_is_not_there_is_no_matter(hubspot: Account) -> None:
    number = await hubspot.create(email="a@x.co")
    answer = await hubspot.ask("POST", f"{CONTACTS}/batch/archive", {"inputs": [{"id": number}, {"id": "7"}]})
    assert (answer.status, answer.body) == (204, b"")
    assert (await hubspot.figures())["contacts"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": None},
        {"inputs": {}},
        {"inputs": ["a"]},
        {"inputs": [{}]},
        {"inputs": [{"id": "a", "properties": []}]},
        {"inputs": [{"id": ["a"], "properties": {}}]},
        {"inputs": [{"id": "a@x.co", "idProperty": {}, "properties": {}}]},
        {"inputs": [{"id": "a@x.co", "idProperty": "email", "properties": {"firstname": {"a": 1}}}]},
        {"inputs": [{"id": "a@x.co", "idProperty": "email", "objectWriteTraceId": "1", "properties": {"a": []}}]},
    ],
)
async def test_a_body_of_another_shape_is_refused_whole(hubspot: Account, body: Any) -> None:
    assert_refused(await upsert(hubspot, body), 400, "VALIDATION_ERROR")
