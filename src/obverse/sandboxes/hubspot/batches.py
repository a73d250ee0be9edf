"""Answers for up to a hundred contacts at once: /crm/v3/objects/contacts/batch/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from obverse.sandboxes.hubspot.answers import Ask, Refusal, Reply, invalid, moment
from obverse.sandboxes.hubspot.contacts import Contacts, Written, show, show_written
from obverse.sandboxes.hubspot.notices import OVER_THE_API
from obverse.sandboxes.hubspot.shapes import (
    MOST_INPUTS,
    MOST_WITH_HISTORY,
    as_text,
    as_texts,
    optional_text,
    read_body,
    read_inputs,
    read_properties,
)
from obverse.sandboxes.hubspot.store import Contact, Store

Input = Mapping[str, Any]
_NOT_FOUND = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."


class Batches:
    """
    Answers batch requests.

    Without trace ids one input that is not valid refuses the whole request. Where every input has an
    `objectWriteTraceId` of its own, the others are written and the answer is 207.
    """

    def __init__(self, store: Store, contacts: Contacts, clock: Callable[[], float]) -> None:
        self._store = store
        self._contacts = contacts
        self._clock = clock

    def create(self, ask: Ask) -> Reply:
        """POST …/batch/create."""
        inputs = read_inputs(read_body(ask), "SimplePublicObjectBatchInputForCreate", "properties")

        def create(one: Input) -> Written:
            return self._contacts.create(read_properties(one), OVER_THE_API)

        return self._write(inputs, create, status=201)

    def update(self, ask: Ask) -> Reply:
        """POST …/batch/update."""
        inputs = read_inputs(read_body(ask), "SimplePublicObjectBatchInput", "id", "properties")
        self._hold_unique(inputs)

        def update(one: Input) -> Written | None:
            contact = self._contacts.find(as_text(one["id"]), optional_text(one, "idProperty"))
            return None if contact is None else self._contacts.update(contact, read_properties(one), OVER_THE_API)

        return self._write(inputs, update)

    def upsert(self, ask: Ask) -> Reply:
        """POST …/batch/upsert: each result tells whether it is new."""
        inputs = read_inputs(read_body(ask), "SimplePublicObjectBatchInputUpsert", "id", "properties")
        self._hold_unique(inputs)

        def upsert(one: Input) -> Written | None:
            given, id_property = as_text(one["id"]), optional_text(one, "idProperty")
            contact = self._contacts.find(given, id_property)
            properties = read_properties(one)
            if contact is not None:
                return self._contacts.update(contact, properties, OVER_THE_API)
            if id_property in {None, "", "hs_object_id"}:
                # Record ids are HubSpot's to give.
                return None
            return self._contacts.create({str(id_property): given, **properties}, OVER_THE_API)

        return self._write(inputs, upsert, tell_new=True)

    def read(self, ask: Ask) -> Reply:
        """POST …/batch/read."""
        body = read_body(ask)
        history = as_texts(body.get("propertiesWithHistory"))
        most = MOST_WITH_HISTORY if history else MOST_INPUTS
        inputs = read_inputs(body, "SimplePublicObjectId", "id", most=most)
        names = as_texts(body.get("properties")) or None
        id_property = optional_text(body, "idProperty")
        started = self._now()
        found: dict[int, Contact] = {}
        missing = []
        for given in dict.fromkeys(as_text(one["id"]) for one in inputs):
            contact = self._contacts.find(given, id_property)
            if contact is None:
                missing.append(given)
            else:
                found[contact.id] = contact
        results = [show(found[number], names, history=history) for number in sorted(found, key=_place)]
        errors = [_not_found(missing, [])] if missing else []
        return self._reply(200, started, results, errors)

    def archive(self, ask: Ask) -> Reply:
        """POST …/batch/archive: no content, also for those that are not there."""
        inputs = read_inputs(read_body(ask), "SimplePublicObjectId", "id")
        with self._store.change():
            for given in [as_text(one["id"]) for one in inputs]:
                contact = self._contacts.find(given)
                if contact is not None:
                    self._contacts.archive(contact, OVER_THE_API)
        return Reply(204)

    def _write(
        self,
        inputs: Sequence[Input],
        write: Callable[[Input], Written | None],
        *,
        status: int = 200,
        tell_new: bool = False,
    ) -> Reply:
        started = self._now()
        traces = [optional_text(one, "objectWriteTraceId") for one in inputs]
        traced = None not in traces and len(set(traces)) == len(traces)
        for one in inputs:
            # What is not of the right shape refuses the whole request, with trace ids or without.
            read_properties(one)
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        missing: list[str] = []
        missing_traces: list[str] = []
        with self._store.change():
            for one, trace in zip(inputs, traces, strict=True):
                try:
                    written = write(one)
                except Refusal as refusal:
                    if not traced:
                        raise
                    errors.append(refusal.standard({"objectWriteTraceId": [str(trace)]}))
                    continue
                if written is None:
                    missing.append(as_text(one["id"]))
                    missing_traces += [] if trace is None else [trace]
                    continue
                result = show_written(written)
                if tell_new:
                    result["new"] = written.new
                if trace is not None:
                    result["objectWriteTraceId"] = trace
                results.append(result)
        if missing:
            errors.append(_not_found(missing, missing_traces))
        return self._reply(status, started, sorted(results, key=lambda one: _place(int(one["id"]))), errors)

    def _reply(
        self, status: int, started: int, results: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]]
    ) -> Reply:
        body: dict[str, Any] = {"status": "COMPLETE", "results": results}
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        body |= {"startedAt": moment(started), "completedAt": moment(self._now())}
        return Reply(207 if errors else status, body)

    def _hold_unique(self, inputs: Sequence[Input]) -> None:
        """Refuse a batch in which one contact is named twice, with or without trace ids."""
        seen: set[tuple[str, str]] = set()
        twice: dict[str, None] = {}
        for one in inputs:
            given, id_property = as_text(one["id"]), optional_text(one, "idProperty") or "hs_object_id"
            key = given if id_property == "hs_object_id" else self._contacts.unique_key(id_property, given)
            if (id_property, key) in seen:
                twice[key] = None
            seen.add((id_property, key))
        if twice:
            raise invalid(
                f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique",
                context={"ids": list(twice)},
            )

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _place(number: int) -> int:
    """HubSpot answers in an order of its own, never that of the inputs: here, that of scattered ids."""
    return number * 2_654_435_761 % 2**32


def _not_found(ids: Sequence[str], traces: Sequence[str]) -> dict[str, Any]:
    context = {"ids": list(ids), **({"objectWriteTraceId": list(traces)} if traces else {})}
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "message": _NOT_FOUND, "context": context}
