"""Sends webhooks, and sends again what was not taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from obverse.sandboxes.hubspot.notices import Notices
from obverse.sandboxes.hubspot.settings import HubSpotSandboxSettings
from obverse.sandboxes.hubspot.signatures import sign_v1, sign_v3
from obverse.sandboxes.hubspot.store import Notice, Store

MOST_EVENTS: Final = 100
MOST_REQUESTS: Final = 10
"""At a time: HubSpot's own limit of concurrency."""

# Seconds from one attempt to the next: ten more tries within 24 hours. HubSpot tells their number and the day only.
DELAYS: Final = (60, 300, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 18_000, 28_800)
_AGENT: Final = "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http-client)"
# How long a pause may last at most: the clock may be set while we wait.
_LONGEST_PAUSE: Final = 60.0


class Courier:
    """Sends the events that are due, a hundred in a request and ten requests at a time."""

    def __init__(
        self,
        store: Store,
        notices: Notices,
        settings: HubSpotSandboxSettings,
        *,
        inside: Callable[[Callable[[], Any]], Awaitable[Any]],
        clock: Callable[[], float],
    ) -> None:
        """`inside` runs a function in the thread that the store belongs to."""
        self._store = store
        self._notices = notices
        self._settings = settings
        self._inside = inside
        self._clock = clock
        self._dice = Random(settings.seed)  # noqa: S311 - spreads retries, hides nothing
        self._news = asyncio.Event()
        self._target: str | None = None

    def wake(self) -> None:
        """Look again: something may have been noted."""
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._settings.webhook_timeout)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
            while True:
                self._news.clear()
                if await self.send_due(http):
                    continue
                due = await self._inside(self._store.next_due)
                pause = _LONGEST_PAUSE if due is None or self._target is None else due - self._clock()
                try:
                    async with asyncio.timeout(min(max(pause, 0.001), _LONGEST_PAUSE)):
                        await self._news.wait()
                except TimeoutError:
                    pass

    async def send_due(self, http: aiohttp.ClientSession) -> bool:
        """Send what is due now, once. True where there was something."""
        target, due = await self._inside(self._look)
        self._target = target
        if target is None or not due:
            return False
        batches = [due[at : at + MOST_EVENTS] for at in range(0, len(due), MOST_EVENTS)]
        taken = await asyncio.gather(*(self._deliver(http, target, batch) for batch in batches))
        # Killed before this, we send them once more: a receiver has to bear that anyway.
        await self._inside(lambda: self._settle(list(zip(batches, taken, strict=True))))
        return True

    def _look(self) -> tuple[str | None, Sequence[Notice]]:
        target = self._notices.target
        if target is None:
            return None, ()
        return target, self._store.notices(due=self._clock(), limit=MOST_EVENTS * MOST_REQUESTS)

    async def _deliver(self, http: aiohttp.ClientSession, target: str, batch: Sequence[Notice]) -> bool:
        body = msgspec.json.encode([{**notice.event, "attemptNumber": notice.attempt} for notice in batch])
        timestamp = str(int(self._clock() * 1000))
        secret = self._settings.client_secret
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _AGENT,
            "X-HubSpot-Signature": sign_v1(secret, body),
            "X-HubSpot-Signature-Version": "v1",
            "X-HubSpot-Signature-v3": sign_v3(secret, "POST", target, body, timestamp),
            "X-HubSpot-Request-Timestamp": timestamp,
        }
        # The address goes out letter for letter as it was signed.
        url = URL(target, encoded=True)
        try:
            async with http.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return 200 <= answer.status < 300  # noqa: PLR2004 - the 2xx
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return False

    def _settle(self, tried: Sequence[tuple[Sequence[Notice], bool]]) -> None:
        now = self._clock()
        sent = [notice.number for batch, taken in tried if taken for notice in batch]
        failed = [notice for batch, taken in tried if not taken for notice in batch]
        given_up = [notice.number for notice in failed if notice.attempt >= len(DELAYS)]
        later = [
            (now + DELAYS[notice.attempt] * self._settings.retry_scale * self._dice.uniform(0.8, 1.0), notice.number)
            for notice in failed
            if notice.attempt < len(DELAYS)
        ]
        with self._store.change():
            self._store.drop_notices([*sent, *given_up])
            self._store.postpone(later)
            count = int(self._store.fact("webhooks_sent") or 0) + len(sent)
            self._store.keep_fact("webhooks_sent", str(count))


def check_target(target: str) -> str:
    """
    The target, where webhooks can go there.

    Raises:
        ValueError: they cannot; the message tells why.
    """
    try:
        url = URL(target, encoded=True)
        named = url.host and url.port
    except ValueError as error:
        raise ValueError(f"webhook target {target!r} is not a URL: {error}") from None
    if url.scheme not in {"http", "https"} or not named or not target.isascii() or " " in target:
        raise ValueError(
            f"webhook target {target!r} is not a URL that begins with http:// or https:// and names a host"
        )
    return target
