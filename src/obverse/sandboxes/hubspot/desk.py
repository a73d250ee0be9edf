"""What the sandbox offers beyond HubSpot, beneath /sandbox: edits by a person, the webhook target, figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from obverse.sandboxes.hubspot.answers import Ask, Refusal, Reply, invalid
from obverse.sandboxes.hubspot.contacts import Contacts, show_written
from obverse.sandboxes.hubspot.definitions import Definition
from obverse.sandboxes.hubspot.figures import Figures
from obverse.sandboxes.hubspot.notices import A_PERSON, Notices
from obverse.sandboxes.hubspot.pages import Page, contact_page, list_page
from obverse.sandboxes.hubspot.shapes import as_text, need, read_body, read_properties, whole
from obverse.sandboxes.hubspot.store import Contact, Store
from obverse.sandboxes.hubspot.webhooks import check_target

_ON_A_PAGE: Final = 50
_MOST_FIELDS: Final = 200
_FIELDS: Final = (
    "email",
    "firstname",
    "lastname",
    "phone",
    "company",
    "jobtitle",
    "city",
    "country",
    "lifecyclestage",
    "hs_email_optout",
)


class Desk:
    """A person's view of the account."""

    def __init__(self, store: Store, contacts: Contacts, notices: Notices, figures: Figures) -> None:
        self._store = store
        self._contacts = contacts
        self._notices = notices
        self._figures = figures

    def figures(self, _ask: Ask) -> Reply:
        """GET /sandbox/figures."""
        return Reply(200, self._figures.shown())

    def set_target(self, ask: Ask) -> Reply:
        """PUT /sandbox/webhooks: null sends none."""
        url = read_body(ask).get("url")
        try:
            target = None if url is None else check_target(as_text(url))
        except ValueError as error:
            raise invalid(str(error)) from None
        self._notices.set_target(target)
        return Reply(200, {"url": target})

    def edit(self, ask: Ask) -> Reply:
        """PUT /sandbox/contacts/{id}: as if a person had edited the contact."""
        body = read_body(ask)
        need(body, "SimplePublicObjectInput", "properties")
        given = read_properties(body)
        with self._store.change():
            written = self._contacts.update(self._contacts.need(ask.place["id"]), given, A_PERSON)
        return Reply(200, show_written(written))

    def list(self, ask: Ask) -> Page:
        """GET /sandbox: contacts by id, fifty a page, or the one with an address."""
        query = (ask.first("email") or "").strip()
        if query:
            found = self._contacts.find(query, "email")
            return list_page(ask.base, [found] if found else [], self._figures.shown(), query=query, after=None)
        start = whole(ask.first("after"), "after", default=0, least=0, most=10**18 - 1)
        contacts = list(self._store.contacts(start=start, limit=_ON_A_PAGE + 1))
        after = contacts[_ON_A_PAGE].id if len(contacts) > _ON_A_PAGE else None
        return list_page(ask.base, contacts[:_ON_A_PAGE], self._figures.shown(), query="", after=after)

    def show(self, ask: Ask) -> Page:
        """GET /sandbox/contacts/{id}."""
        contact = self._contacts.need(ask.place["id"])
        saved = ask.first("saved") is not None
        return contact_page(ask.base, contact, self._editable(), self._values(contact), saved=saved)

    def save(self, ask: Ask) -> Page | None:
        """POST /sandbox/contacts/{id}: the form. None when it was saved; else the form again, with what was wrong."""
        contact = self._contacts.need(ask.place["id"])
        editable = self._editable()
        given = _read_form(ask.body)
        before = self._values(contact)
        # A write of the value that is there is no change, so the form may say all it shows.
        said = {name: value for name, value in given.items() if name in editable}
        try:
            with self._store.change():
                self._contacts.update(contact, said, A_PERSON)
        except Refusal as refusal:
            wrong = [str(error["message"]) for error in refusal.errors] or [refusal.message]
            return contact_page(ask.base, contact, editable, {**before, **said}, wrong=wrong)
        return None

    def _editable(self) -> Mapping[str, Definition]:
        definitions = self._store.definitions
        custom = [name for name, one in definitions.items() if not one.hubspot_defined and not one.hidden]
        return {name: definitions[name] for name in (*_FIELDS, *custom)}

    @staticmethod
    def _values(contact: Contact) -> dict[str, str]:
        return {name: contact.value(name) for name in contact.versions}


def _read_form(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise invalid("the form cannot be read: send it as a browser does, with at most 200 fields") from None
    # A browser sends line ends as CR LF.
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
