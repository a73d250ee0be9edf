"""Webhook events: what they say, and when each may be sent."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from obverse.sandboxes.hubspot.settings import APP_ID, PORTAL_ID, HubSpotSandboxSettings
from obverse.sandboxes.hubspot.store import Contact, Store

# A repeat, or an event held back, comes this many gathering times later than its turn.
_LEAST_LATER: Final = 4.0
_MOST_LATER: Final = 20.0

Event = dict[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Source:
    """Who changes a contact."""

    change_source: str
    id: str


OVER_THE_API: Final = Source("INTEGRATION", str(APP_ID))
A_PERSON: Final = Source("CRM_UI", "userId:2024")


class Notices:
    """Notes events for the subscriptions of the app: creation, deletion, and each property."""

    def __init__(self, store: Store, settings: HubSpotSandboxSettings, clock: Callable[[], float]) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        # Not for secrets: the same seed misbehaves in the same way.
        self._dice = Random(settings.seed)  # noqa: S311
        kept = store.fact("webhook_url")
        self._target = settings.webhook_url if kept is None else kept or None

    @property
    def target(self) -> str | None:
        """Where webhooks go; None where they do not."""
        return self._target

    def set_target(self, target: str | None) -> None:
        """Send webhooks there from now on, also after a restart; commits by itself."""
        with self._store.change():
            self._store.keep_fact("webhook_url", target or "")
        self._target = target

    def created(self, contact: Contact, source: Source, at: int) -> None:
        """Note a creation."""
        self._note("contact.creation", contact, source, at, {"changeFlag": "CREATED"})

    def deleted(self, contact: Contact, source: Source, at: int) -> None:
        """Note that a contact was archived or erased."""
        self._note("contact.deletion", contact, source, at, {"changeFlag": "DELETED"})

    def privacy_deleted(self, contact: Contact, source: Source, at: int) -> None:
        """Note that a contact was erased."""
        self._note("contact.privacyDeletion", contact, source, at, {"changeFlag": "DELETED"})

    def changed(self, contact: Contact, name: str, value: str, source: Source, at: int) -> None:
        """Note a property's new value."""
        said: Event = {"propertyName": name, "propertyValue": value, "isSensitive": False}
        self._note("contact.propertyChange", contact, source, at, said)

    def _note(self, kind: str, contact: Contact, source: Source, at: int, more: Mapping[str, str | bool | int]) -> None:
        if self.target is None:
            return
        event: Event = {
            # HubSpot's are not promised to be unique either.
            "eventId": self._dice.getrandbits(32),
            "subscriptionId": _subscription(f"{kind} {more.get('propertyName')}"),
            "portalId": PORTAL_ID,
            "appId": APP_ID,
            "occurredAt": at,
            "subscriptionType": kind,
            "objectId": contact.id,
            **more,
            "changeSource": source.change_source,
            "sourceId": source.id,
        }
        due = self._clock() + self._settings.webhook_delay
        if self._dice.random() < self._settings.disorder:
            due += self._later()
        moments = [due]
        if self._dice.random() < self._settings.repeats:
            moments.append(due + self._later())
        self._store.add_notices((moment, event) for moment in moments)

    def _later(self) -> float:
        return self._settings.webhook_delay * self._dice.uniform(_LEAST_LATER, _MOST_LATER)


@cache
def _subscription(name: str) -> int:
    """The same subscription always has the same id."""
    return 1_000_000 + zlib.crc32(name.encode()) % 1_000_000
