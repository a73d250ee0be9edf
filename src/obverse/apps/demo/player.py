"""Plays events to a collector in order, as patiently as a Segment SDK sends them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from obverse.ports.runtime import Runtime

MOST_ITEMS = 100
"""Events in one request at most. A collector takes 2,500; Segment's Python client sends 100."""

MOST_BYTES = 480_000
"""One request's body at most. A collector takes 500 KB."""

MOST_EVENT_BYTES = 32 * 1024
"""One event at most. A collector answers 200 to a larger one in a batch, but rejects it."""

Progress = Callable[[int, int, date], None]
"""Told after each request: events sent, events in all, the day of the last one in the story."""


class PlayError(Exception):
    """The play cannot go on. The message says why, how far it came, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How a request that failed is sent again: same body, twice the wait each time, less a random part."""

    first: float = 0.1
    """Seconds before the second try."""

    longest: float = 2.0
    """Seconds between two tries at most, unless the server asks for more."""

    limit: float = 300.0
    """Seconds that one request may take with all its tries; then the play stops."""

    answer: float = 15.0
    """Seconds to wait for one answer. Segment's client waits as long."""

    def wait(self, failures: int, die: float) -> float:
        """Seconds to wait after so many failures in a row (1 or more); `die` is from 0 to 1."""
        # 2 ** 30 times any first wait is beyond any longest one, and a float can hold it.
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 30)) * (0.5 + die / 2)


@dataclass(frozen=True, slots=True)
class Played:
    """What a whole play came to."""

    events_accepted: int
    """Events that were sent and answered 200, each counted once."""

    seconds: float
    """From the first request to the last answer."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One body, encoded once so that each try sends the same bytes."""

    body: bytes
    events: int
    day: date


@dataclass(frozen=True, slots=True)
class _Failure:
    """A try that may be repeated, and the least wait that the server asked for, in seconds."""

    reason: str
    wait: float = 0.0


async def play(
    url: str,
    write_key: str,
    events: Iterable[Mapping[str, Any]],
    *,
    total: int,
    runtime: Runtime,
    progress: Progress | None = None,
    session: aiohttp.ClientSession | None = None,
    retries: Retries | None = None,
) -> Played:
    """
    Send the events in their order to the collector at `url` (without path), one request in flight at a time.

    Each event carries its `messageId` and a `timestamp`; `total`, their number, is only told to
    `progress`. 5xx, 429 and what breaks on the way are tried again with the same body. A session that is
    given stays open.

    Raises:
        PlayError: another answer than these and 200; no 200 for `retries.limit` seconds; an event over 32 KB.
    """
    async with aiohttp.ClientSession() if session is None else nullcontext(session) as open_session:
        sender = _Sender(open_session, url, write_key, runtime, retries or Retries())
        started = runtime.elapsed()
        for request in _requests(events, write_key):
            await sender.send(request)
            if progress:
                progress(sender.accepted, total, request.day)
        return Played(sender.accepted, runtime.elapsed() - started)


class _Sender:
    """One collector, and how many events it has accepted so far."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, write_key: str, runtime: Runtime, retries: Retries
    ) -> None:
        self.accepted = 0
        self._session = session
        self._url = f"{url.rstrip('/')}/v1/batch"
        self._headers = {
            "Authorization": f"Basic {b64encode(f'{write_key}:'.encode()).decode()}",
            "Content-Type": "application/json",
            "User-Agent": "obverse-demo",
        }
        self._runtime = runtime
        self._retries = retries
        self._timeout = aiohttp.ClientTimeout(total=retries.answer)

    async def send(self, request: _Request) -> None:
        """Send until it is accepted."""
        started = self._runtime.elapsed()
        failures = 0
        while failure := await self._try(request, failures):
            failures += 1
            wait = max(failure.wait, self._retries.wait(failures, self._runtime.random.random()))
            if self._runtime.elapsed() - started + wait > self._retries.limit:
                raise PlayError(
                    f"{self._url} did not accept a batch within {self._retries.limit:g} s and {failures} "
                    f"tries; the last: {failure.reason}. {self._so_far()} See whether the collector runs and "
                    "can write its log, then play again: message ids stay the same, so nothing counts twice."
                )
            await self._runtime.sleep(wait)
        self.accepted += request.events

    async def _try(self, request: _Request, failures: int) -> _Failure | None:
        """Send once; None if it was accepted."""
        # Segment's clients count their retries in this header, for the server's statistics.
        headers = self._headers | ({"X-Retry-Count": str(failures)} if failures else {})
        try:
            async with self._session.post(
                self._url, data=request.body, headers=headers, timeout=self._timeout, allow_redirects=False
            ) as answer:
                return self._judge(answer, (await answer.read()).decode(errors="replace"))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise PlayError(
                f"{self._url!r} is no address of a collector: give scheme, host and port, such as "
                "http://localhost:8030."
            ) from error
        except TimeoutError:
            return _Failure(f"no answer for {self._retries.answer:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return _Failure(f"{type(error).__name__}: {error}")

    def _judge(self, answer: aiohttp.ClientResponse, text: str) -> _Failure | None:
        """Accepted is exactly 200, as for Segment's clients."""
        if answer.status == HTTPStatus.OK:
            return None
        said = f"{answer.status} {_message(text) or answer.reason}"
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _Failure(said, _seconds(answer.headers.get("Retry-After", "")))
        raise PlayError(
            f"{self._url} refused the events: {said}. {self._so_far()} It would refuse them "
            "again: see that the address is the collector's and that the write key is one of its sources'."
        )

    def _so_far(self) -> str:
        return f"{self.accepted:,} events were accepted before."


def _requests(events: Iterable[Mapping[str, Any]], write_key: str) -> Iterator[_Request]:
    """Cut the events into bodies within the limits. Each event is encoded once."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    envelope = len(encoder.encode({"batch": [], "writeKey": write_key}))
    items: list[msgspec.Raw] = []
    size = envelope
    until = ""

    def cut() -> _Request:
        body = encoder.encode({"batch": items, "writeKey": write_key})
        return _Request(body, len(items), datetime.fromisoformat(until).date())

    for event in events:
        item = encoder.encode(event)
        if len(item) > MOST_EVENT_BYTES:
            raise PlayError(f"event {event.get('messageId')!r} has {len(item):,} bytes, {MOST_EVENT_BYTES:,} at most.")
        if items and (len(items) == MOST_ITEMS or size + len(item) + 1 > MOST_BYTES):
            yield cut()
            items, size = [], envelope
        items.append(msgspec.Raw(item))
        size += len(item) + 1  # the comma
        until = event["timestamp"]
    if items:
        yield cut()


def _message(text: str) -> str:
    """The collector's `code: message`, or what else was said, cut short."""
    try:
        body = msgspec.json.decode(text)
        return f"{body['code']}: {body['message']}"
    except (msgspec.DecodeError, TypeError, KeyError):
        return " ".join(text.split())[:200]


def _seconds(retry_after: str) -> float:
    """A `Retry-After` in seconds; 0 for none, and for a date, which a collector never sends."""
    return float(retry_after) if retry_after.isdecimal() else 0.0
