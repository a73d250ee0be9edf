"""What may happen to a contact, and the webhook events that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from obverse.sandboxes.hubspot import values
from obverse.sandboxes.hubspot.answers import Refusal, invalid, moment, not_found
from obverse.sandboxes.hubspot.default_properties import STAGES
from obverse.sandboxes.hubspot.notices import Notices, Source
from obverse.sandboxes.hubspot.settings import PORTAL_ID
from obverse.sandboxes.hubspot.store import Contact, Store, Version

# Without a choice of properties HubSpot shows these.
SHOWN: Final = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
_MOST_VERSIONS: Final = 45
_STAGES: Final = list(STAGES)


@dataclass(frozen=True, slots=True)
class Written:
    """A contact after a write."""

    contact: Contact
    names: frozenset[str]
    """The properties that the write named."""

    new: bool = False


class Contacts:
    """The contacts of the account. Every method that writes belongs within `Store.change`."""

    def __init__(self, store: Store, notices: Notices, clock: Callable[[], float]) -> None:
        self._store = store
        self._notices = notices
        self._clock = clock

    def find(self, given: str, id_property: str | None = None) -> Contact | None:
        """
        The contact with that record id, or that value of a unique property; None where there is none, or no longer.

        Raises:
            Refusal: the property is not unique.
        """
        if id_property in {None, "", "hs_object_id"}:
            # ASCII digits only, and few enough for SQLite: anything else is no id of ours.
            number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None  # noqa: PLR2004
        else:
            number = self._store.owner(str(id_property), self.unique_key(str(id_property), given))
        contact = None if number is None else self._store.contact(number)
        return contact if contact is not None and contact.archived_at is None else None

    def unique_key(self, name: str, given: str) -> str:
        """
        The value under which a unique property is looked up.

        Raises:
            Refusal: the property does not exist, or is not unique.
        """
        definition = self._store.definitions.get(name)
        if definition is None:
            raise values.refuse([values.Flaw(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')])
        if not definition.has_unique_value:
            raise invalid(f"Unable to perform update/upsert by non-unique 0-1 property {name}")
        return given.strip().lower() if name == "email" else given

    def create(self, given: Mapping[str, str], source: Source) -> Written:
        """
        Add a contact.

        Raises:
            Refusal: a value is not valid (400), or another contact has a value that is to be unique (409).
        """
        checked = values.check(given, self._store.definitions)
        for name, value in self._unique(checked):
            if name == "email" and self._store.is_blocked(value):
                raise values.refuse([values.Flaw(name, "INVALID_EMAIL", f"Email address {value} is blocked")])
            owner = self._store.owner(name, value)
            if owner is not None:
                raise Refusal(HTTPStatus.CONFLICT, "CONFLICT", f"Contact already exists. Existing ID: {owner}")
        now = self._now()
        contact = Contact(id=self._store.next_id(), created_at=now, updated_at=now, versions={})
        automatic = {
            "createdate": moment(now),
            "hs_all_contact_vids": str(contact.id),
            "hs_is_contact": "true",
            "hs_object_id": str(contact.id),
            "hs_object_source": source.change_source,
            "hs_object_source_id": source.id,
        }
        self._notices.created(contact, source, now)
        self._set(contact, automatic, source, now, silent=True)
        self._set(contact, {name: value for name, value in checked.items() if value}, source, now)
        self._finish(contact, source, now)
        return Written(contact, frozenset(checked), new=True)

    def update(self, contact: Contact, given: Mapping[str, str], source: Source) -> Written:
        """
        Write properties of a contact.

        Raises:
            Refusal: a value is not valid, or another contact has a value that is to be unique.
        """
        checked = values.check(given, self._store.definitions)
        for name, value in self._unique(checked):
            owner = self._store.owner(name, value)
            if owner not in {None, contact.id}:
                raise invalid(
                    f"Cannot set PropertyValueCoordinates{{portalId={PORTAL_ID}, objectTypeId=ObjectTypeId"
                    f"{{legacyObjectType=CONTACT}}, propertyName={name}, value={value}}} on {contact.id}. "
                    f"{owner} already has that value."
                )
        now = self._now()
        changed = {
            name: after
            for name, value in checked.items()
            if (after := _after(contact, name, value)) != contact.value(name)
        }
        if changed:
            self._set(contact, changed, source, now)
            contact.updated_at = max(now, contact.updated_at)
            self._finish(contact, source, now)
        return Written(contact, frozenset(checked))

    def archive(self, contact: Contact, source: Source) -> None:
        """Put the contact aside; its unique values are free again."""
        now = self._now()
        contact.archived_at = now
        for name, versions in contact.versions.items():
            if self._store.definitions[name].has_unique_value and versions:
                self._store.claim(name, "", contact.id, before=contact.value(name))
        self._store.save(contact)
        self._notices.deleted(contact, source, now)

    def erase(self, contact: Contact, source: Source) -> None:
        """Forget the contact for good. Both events tell it, in no order that one may count on."""
        now = self._now()
        self.archive(contact, source)
        self._store.forget(contact)
        self._notices.privacy_deleted(contact, source, now)

    def block(self, email: str) -> None:
        """Let nobody have this address again."""
        self._store.block(self.unique_key("email", email))

    def need(self, given: str, id_property: str | None = None) -> Contact:
        """
        As `find`.

        Raises:
            Refusal: there is none.
        """
        contact = self.find(given, id_property)
        if contact is None:
            raise not_found(context={"id": [given]})
        return contact

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _unique(self, checked: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        definitions = self._store.definitions
        return [(name, value) for name, value in checked.items() if value and definitions[name].has_unique_value]

    def _set(
        self, contact: Contact, changed: Mapping[str, str], source: Source, now: int, *, silent: bool = False
    ) -> None:
        for name, value in changed.items():
            if self._store.definitions[name].has_unique_value:
                self._store.claim(name, value, contact.id, before=contact.value(name))
            version = Version(value, now, source.change_source, source.id)
            contact.versions[name] = [version, *contact.versions.get(name, ())][:_MOST_VERSIONS]
            if not silent:
                self._notices.changed(contact, name, value, source, now)

    def _finish(self, contact: Contact, source: Source, now: int) -> None:
        """Write what HubSpot keeps itself, and the contact."""
        kept = {"lastmodifieddate": moment(contact.updated_at)}
        _, _, domain = contact.value("email").partition("@")
        if domain != contact.value("hs_email_domain"):
            kept["hs_email_domain"] = domain
        for name, value in kept.items():
            # Their history would only tell that there was a write.
            contact.versions[name] = [Version(value, now, source.change_source, source.id)]
        self._store.save(contact)


def show(contact: Contact, names: Collection[str] | None, *, history: Collection[str] = ()) -> dict[str, Any]:
    """The contact as the objects API tells it; a property without a value is null. None of `names` are the usual."""
    wanted = dict.fromkeys([*(SHOWN if names is None else ("createdate", "hs_object_id", "lastmodifieddate", *names))])
    shown: dict[str, Any] = {
        "id": str(contact.id),
        "properties": {name: contact.value(name) or None for name in sorted(wanted)},
        "createdAt": moment(contact.created_at),
        "updatedAt": moment(contact.updated_at),
        "archived": contact.archived_at is not None,
    }
    if contact.archived_at is not None:
        shown["archivedAt"] = moment(contact.archived_at)
    if history:
        shown["propertiesWithHistory"] = {
            name: [
                {
                    "value": version.value,
                    "timestamp": moment(version.at),
                    "sourceType": version.source,
                    "sourceId": version.source_id,
                }
                for version in contact.versions.get(name, ())
            ]
            for name in history
        }
    return shown


def show_written(written: Written) -> dict[str, Any]:
    """What a write answers: what it named, and after a creation all that has a value."""
    contact = written.contact
    names = set(contact.versions) if written.new else set(written.names)
    shown = show(contact, [name for name in names if contact.value(name) or name in written.names])
    if written.new:
        # A creation tells no nulls.
        shown["properties"] = {name: value for name, value in shown["properties"].items() if value is not None}
    return shown


def _after(contact: Contact, name: str, value: str) -> str:
    """What a property will be: a semicolon in front adds a choice, and a lifecycle stage moves forward only."""
    before = contact.value(name)
    if value.startswith(";") and before:
        return ";".join(dict.fromkeys([*before.split(";"), *value[1:].split(";")]))
    if name == "lifecyclestage" and before and value and _STAGES.index(value) < _STAGES.index(before):
        return before
    return value
