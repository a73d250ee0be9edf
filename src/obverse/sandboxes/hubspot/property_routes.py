"""Answers about definitions: /crm/v3/properties/contacts."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from obverse.sandboxes.hubspot.answers import Ask, Refusal, Reply, invalid, not_found
from obverse.sandboxes.hubspot.definitions import MOST_UNIQUE, read_definition
from obverse.sandboxes.hubspot.shapes import read_body
from obverse.sandboxes.hubspot.store import Store


class Properties:
    """Answers requests about the properties of contacts."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def all(self, ask: Ask) -> Reply:
        """GET /crm/v3/properties/contacts. None is ever archived here."""
        archived = (ask.first("archived") or "").lower() == "true"
        shown = [] if archived else [definition.shown() for definition in self._store.definitions.values()]
        return Reply(200, {"results": shown})

    def read(self, ask: Ask) -> Reply:
        """GET /crm/v3/properties/contacts/{name}."""
        name = ask.place["name"]
        definition = self._store.definitions.get(name)
        if definition is None:
            raise not_found(f"Property {name} does not exist", context={"propertyName": [name]})
        return Reply(200, definition.shown())

    def create(self, ask: Ask) -> Reply:
        """POST /crm/v3/properties/contacts."""
        definition = read_definition(read_body(ask), now=int(self._clock() * 1000))
        if definition.name in self._store.definitions:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "OBJECT_ALREADY_EXISTS",
                f"A property named '{definition.name}' already exists.",
                context={"name": [definition.name]},
            )
        custom = [one for one in self._store.definitions.values() if one.has_unique_value and not one.hubspot_defined]
        if definition.has_unique_value and len(custom) >= MOST_UNIQUE:
            raise invalid(f"There are {MOST_UNIQUE} properties with unique values already, which is the most")
        self._store.add_definition(definition)
        return Reply(201, definition.shown())
