"""The collector's door, for who loads a file."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from obverse.flows.load import MOST_IN_FLIGHT, Denied, Unfit
from obverse.ports.outcomes import AccessRefused, Unreachable

_PATIENCE: Final = aiohttp.ClientTimeout(total=60, sock_connect=10)
_TOLD: Final = 200


class _Report(msgspec.Struct):
    rejected: list[Denied] = []


_report: Final = msgspec.json.Decoder(_Report)


class HttpDoor:
    """See `flows.load.Door`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, write_key: str) -> None:
        """`url`: the collector's scheme, host and port."""
        self._session = session
        self._url = url.rstrip("/")
        self._packs = not _is_here(self._url)
        self._headers = {
            "Authorization": f"Basic {b64encode(f'{write_key}:'.encode()).decode()}",
            "Content-Type": "application/json",
            "User-Agent": "obverse-load",
            "X-Obverse-Report": "rejected",
        }

    async def source(self) -> str:
        """
        The name of the source that the key opens.

        Raises:
            AccessRefused: it opens none.
            Unreachable: the collector does not answer.
        """
        answer = await self._ask("GET", "/sourceConfig")
        try:
            return str(msgspec.json.decode(answer)["source"]["name"])
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            raise AccessRefused(f"what answers at {self._url} is no collector of ours: say --collector URL") from error

    async def post(self, body: bytes) -> Sequence[Denied]:
        """See `Door.post`."""
        if self._packs:
            packed = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
            body = packed.compress(body) + packed.flush()
        answer = await self._ask("POST", "/v1/batch", body)
        try:
            return _report.decode(answer).rejected
        except msgspec.DecodeError as error:
            raise AccessRefused(f"what answers at {self._url} is no collector of ours: say --collector URL") from error

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = self._headers | ({"Content-Encoding": "gzip"} if self._packs and body else {})
        try:
            async with self._session.request(
                method, self._url + path, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return self._judged(answer, await answer.read())
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise AccessRefused(
                f"{self._url!r} is no address of a collector: give scheme, host and port, as http://127.0.0.1:8030"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(
                f"no answer from the collector at {self._url} ({str(error) or type(error).__name__}): is it running?"
            ) from error

    def _judged(self, answer: aiohttp.ClientResponse, text: bytes) -> bytes:
        if answer.status == HTTPStatus.OK:
            return text
        said = f"{answer.status} {_message(text) or answer.reason}"
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"the collector at {self._url} does not take it now: {said}", after=_seconds(answer))
        if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}:
            raise Unfit(said)
        raise AccessRefused(f"the collector at {self._url} lets nothing in: {said}")


@asynccontextmanager
async def open_door(url: str, write_key: str) -> AsyncIterator[HttpDoor]:
    """A door that is closed with the block."""
    connector = aiohttp.TCPConnector(limit=MOST_IN_FLIGHT)
    async with aiohttp.ClientSession(timeout=_PATIENCE, connector=connector) as session:
        yield HttpDoor(session, url, write_key)


def _is_here(url: str) -> bool:
    """Whether it is this machine, where packing costs more than it saves."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _message(text: bytes) -> str:
    try:
        body: Any = msgspec.json.decode(text)
        return f"{body['code']}: {body['message']}"
    except (msgspec.DecodeError, LookupError, TypeError):
        return " ".join(text.decode(errors="replace").split())[:_TOLD]


def _seconds(answer: aiohttp.ClientResponse) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 0.0
