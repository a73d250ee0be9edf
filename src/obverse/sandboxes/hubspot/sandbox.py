"""Opens the sandbox: its state, its application, and the sender of its webhooks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette

from obverse.sandboxes.hubspot.app import build_app
from obverse.sandboxes.hubspot.batches import Batches
from obverse.sandboxes.hubspot.contacts import Contacts
from obverse.sandboxes.hubspot.desk import Desk
from obverse.sandboxes.hubspot.figures import Figures
from obverse.sandboxes.hubspot.limits import Limits
from obverse.sandboxes.hubspot.notices import Notices
from obverse.sandboxes.hubspot.objects import Objects
from obverse.sandboxes.hubspot.property_routes import Properties
from obverse.sandboxes.hubspot.search import Search
from obverse.sandboxes.hubspot.settings import HubSpotSandboxSettings
from obverse.sandboxes.hubspot.store import Store
from obverse.sandboxes.hubspot.webhooks import Courier, check_target

FILE_NAME: Final = "hubspot.sqlite3"
_CONTACTS: Final = "/crm/v3/objects/contacts"
_PROPERTIES: Final = "/crm/v3/properties/contacts"


class HubSpotSandbox:
    """
    A HubSpot account on this machine.

    What is answered is on disk before the answer, so the process may be killed at any moment. `app` serves requests;
    webhooks are sent while `run` runs.
    """

    def __init__(
        self,
        store: Store,
        settings: HubSpotSandboxSettings,
        *,
        clock: Callable[[], float],
        thread: ThreadPoolExecutor,
    ) -> None:
        self._store = store
        # One thread has the state: requests are answered one after the other, and no wait for the disk stops the loop.
        self._thread = thread
        notices = Notices(store, settings, clock)
        contacts = Contacts(store, notices, clock)
        self._figures = Figures(store)
        day, today = self._figures.day()
        self._limits = Limits(settings, clock, day=day, today=today)
        store.before_commit(lambda: self._figures.keep(self._limits))
        self.courier = Courier(store, notices, settings, inside=self._inside, clock=clock)
        self.app: Starlette = self._build_app(settings, contacts, notices, clock)
        """The ASGI application, with HubSpot's routes at the root."""

    async def run(self) -> None:
        """Send webhooks until cancelled."""
        await self.courier.run()

    async def close(self) -> None:
        """Finish what is being answered, and let go of the file."""
        await self._inside(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        with self._store.change():
            pass  # a change of nothing: what was counted since the last one is kept
        self._store.close()

    async def _inside(self, do: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def _answer(self, do: Callable[[], Any]) -> Any:
        try:
            return await self._inside(do)
        finally:
            self.courier.wake()

    def _build_app(
        self, settings: HubSpotSandboxSettings, contacts: Contacts, notices: Notices, clock: Callable[[], float]
    ) -> Starlette:
        objects = Objects(self._store, contacts)
        batches = Batches(self._store, contacts, clock)
        search = Search(self._store)
        properties = Properties(self._store, clock)
        desk = Desk(self._store, contacts, notices, self._figures)
        return build_app(
            api=(
                ("POST", _CONTACTS, objects.create),
                ("GET", _CONTACTS, objects.page),
                ("POST", f"{_CONTACTS}/batch/create", batches.create),
                ("POST", f"{_CONTACTS}/batch/read", batches.read),
                ("POST", f"{_CONTACTS}/batch/update", batches.update),
                ("POST", f"{_CONTACTS}/batch/upsert", batches.upsert),
                ("POST", f"{_CONTACTS}/batch/archive", batches.archive),
                ("POST", f"{_CONTACTS}/search", search.search),
                ("POST", f"{_CONTACTS}/gdpr-delete", objects.erase),
                ("GET", f"{_CONTACTS}/{{id}}", objects.read),
                ("PATCH", f"{_CONTACTS}/{{id}}", objects.update),
                ("DELETE", f"{_CONTACTS}/{{id}}", objects.archive),
                ("GET", _PROPERTIES, properties.all),
                ("POST", _PROPERTIES, properties.create),
                ("GET", f"{_PROPERTIES}/{{name}}", properties.read),
            ),
            desk=(
                ("GET", "/sandbox/figures", desk.figures),
                ("PUT", "/sandbox/webhooks", desk.set_target),
                ("PUT", "/sandbox/contacts/{id}", desk.edit),
            ),
            pages=(
                ("GET", "/sandbox", desk.list),
                ("GET", "/sandbox/contacts/{id}", desk.show),
                ("POST", "/sandbox/contacts/{id}", desk.save),
            ),
            gate={"token": settings.token, "limits": self._limits, "count": self._figures.count},
            run=self._answer,
        )


async def open_hubspot_sandbox(
    folder: Path, settings: HubSpotSandboxSettings, *, clock: Callable[[], float] = time.time
) -> HubSpotSandbox:
    """
    Open the account that lives in `folder`, or make one. `clock` tells seconds since 1970.

    Raises:
        ValueError: the webhook target is not a URL that webhooks can go to.
        sqlite3.DatabaseError: the file in the folder is not one of ours, or is damaged.
    """
    if settings.webhook_url is not None:
        check_target(settings.webhook_url)
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hubspot-sandbox")

    def open_inside() -> HubSpotSandbox:
        folder.mkdir(parents=True, exist_ok=True)
        store = Store(folder / FILE_NAME)
        return HubSpotSandbox(store, settings, clock=clock, thread=thread)

    try:
        return await asyncio.get_running_loop().run_in_executor(thread, open_inside)
    except BaseException:
        thread.shutdown(wait=False)
        raise
