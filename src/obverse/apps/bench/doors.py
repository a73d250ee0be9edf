"""The doors of an installation: where events go in, and where they are looked for."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from obverse.apps.bench.installed import Installed
from obverse.apps.bench.load import Load
from obverse.apps.bench.sender import Sender, Then
from obverse.apps.own_secrets import API_KEY, own_secret

OK: Final = 200
"""Exactly this is success."""
PATH: Final = "/v1/batch"
"""Where batches go."""
LOOKERS: Final = 4
"""Connections to the API."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Opened for one load."""

    collector: Sender
    api: Sender
    headers: bytes
    authorization: bytes
    """Of whoever looks."""
    head: bytes
    """The beginning of every request with a batch."""

    def send(self, body: bytes) -> asyncio.Future[int]:
        """Send one batch; the status that it is answered with."""
        return self.collector.post(PATH, self.headers, body)

    def send_then(self, body: bytes, then: Then) -> None:
        """As `send`, for those who do not wait."""
        self.collector.send(self.head, body, then)


@asynccontextmanager
async def doors_of(here: Installed, load: Load) -> AsyncIterator[Doors]:
    """Open them for as long as the block runs."""
    collector, api = sender_to(here.collector, load.connections), sender_to(here.api, LOOKERS)
    credentials = b64encode(f"{here.key}:".encode()).decode()
    headers = f"authorization: Basic {credentials}\r\ncontent-type: application/json\r\n".encode()
    try:
        await collector.open()
        await api.open()
        authorization = f"authorization: Bearer {own_secret(here.data, API_KEY)}\r\n".encode()
        yield Doors(collector, api, headers, authorization, collector.head("POST", PATH, headers))
    finally:
        collector.close()
        api.close()


def sender_to(url: str, connections: int) -> Sender:
    """A sender to one of our doors, not opened yet."""
    place = urlsplit(url)
    return Sender(place.hostname or "", place.port or 80, connections=connections)
