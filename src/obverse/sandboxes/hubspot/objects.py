"""Answers for one contact and for pages of them: /crm/v3/objects/contacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from obverse.sandboxes.hubspot.answers import Ask, Reply, invalid, not_found
from obverse.sandboxes.hubspot.contacts import Contacts, show, show_written
from obverse.sandboxes.hubspot.notices import OVER_THE_API
from obverse.sandboxes.hubspot.shapes import (
    MOST_WITH_HISTORY,
    as_text,
    need,
    optional_text,
    read_body,
    read_properties,
    whole,
)
from obverse.sandboxes.hubspot.store import Store

_USUAL_PAGE: Final = 10
_LARGEST_PAGE: Final = 100
_LARGEST_CURSOR: Final = 10**18 - 1


class Objects:
    """Answers requests about contacts, one at a time and by pages."""

    def __init__(self, store: Store, contacts: Contacts) -> None:
        self._store = store
        self._contacts = contacts

    def create(self, ask: Ask) -> Reply:
        """POST /crm/v3/objects/contacts."""
        body = read_body(ask)
        need(body, "SimplePublicObjectInputForCreate", "properties")
        given = read_properties(body)
        with self._store.change():
            written = self._contacts.create(given, OVER_THE_API)
        return Reply(201, show_written(written))

    def read(self, ask: Ask) -> Reply:
        """GET /crm/v3/objects/contacts/{id}."""
        given, id_property = ask.place["id"], ask.first("idProperty")
        names, history = _named(ask, "properties"), _named(ask, "propertiesWithHistory") or ()
        if _archived(ask):
            number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else -1  # noqa: PLR2004 - SQLite's integers
            contact = self._store.contact(number)
            if contact is None or contact.archived_at is None:
                raise not_found(context={"id": [given]})
        else:
            contact = self._contacts.need(given, id_property)
        return Reply(200, show(contact, names, history=history))

    def update(self, ask: Ask) -> Reply:
        """PATCH /crm/v3/objects/contacts/{id}."""
        body = read_body(ask)
        need(body, "SimplePublicObjectInput", "properties")
        given = read_properties(body)
        with self._store.change():
            contact = self._contacts.need(ask.place["id"], ask.first("idProperty"))
            written = self._contacts.update(contact, given, OVER_THE_API)
        return Reply(200, show_written(written))

    def archive(self, ask: Ask) -> Reply:
        """DELETE /crm/v3/objects/contacts/{id}: no content, also where there is none."""
        with self._store.change():
            contact = self._contacts.find(ask.place["id"], ask.first("idProperty"))
            if contact is not None:
                self._contacts.archive(contact, OVER_THE_API)
        return Reply(204)

    def erase(self, ask: Ask) -> Reply:
        """POST /crm/v3/objects/contacts/gdpr-delete: an address that nobody has is blocked instead."""
        body = read_body(ask)
        need(body, "PublicGdprDeleteInput", "objectId")
        given, id_property = as_text(body["objectId"]), optional_text(body, "idProperty")
        with self._store.change():
            contact = self._contacts.find(given, id_property)
            if contact is not None:
                self._contacts.erase(contact, OVER_THE_API)
            elif id_property == "email":
                self._contacts.block(given)
            else:
                raise not_found(context={"id": [given]})
        return Reply(204)

    def page(self, ask: Ask) -> Reply:
        """GET /crm/v3/objects/contacts."""
        names, history = _named(ask, "properties"), _named(ask, "propertiesWithHistory") or ()
        most = MOST_WITH_HISTORY if history else _LARGEST_PAGE
        limit = whole(ask.first("limit"), "limit", default=_USUAL_PAGE, least=1, most=most)
        start = whole(ask.first("after"), "after", default=0, least=0, most=_LARGEST_CURSOR)
        found = list(self._store.contacts(start=start, limit=limit + 1, archived=_archived(ask)))
        body: dict[str, object] = {"results": [show(one, names, history=history) for one in found[:limit]]}
        if len(found) > limit:
            after = str(found[limit - 1].id + 1)
            kept = [(name, value) for name, values in ask.query.items() if name != "after" for value in values]
            link = f"{ask.url}?{urlencode([*kept, ('after', after)])}"
            body["paging"] = {"next": {"after": after, "link": link}}
        return Reply(200, body)


def _named(ask: Ask, name: str) -> Sequence[str] | None:
    """Names from a query parameter, by commas or repeated; None where there are none."""
    given = [one.strip() for value in ask.query.get(name, ()) for one in value.split(",")]
    return [one for one in given if one] or None


def _archived(ask: Ask) -> bool:
    given = (ask.first("archived") or "false").lower()
    if given not in {"true", "false"}:
        raise invalid(f"Invalid value for parameter archived: {given[:100]} is not true or false")
    return given == "true"
