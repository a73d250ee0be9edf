"""How many requests HubSpot takes: a burst limit, one for searches, and one a day, each on its own."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from obverse.sandboxes.hubspot.settings import HubSpotSandboxSettings

_DAY: Final = 86_400


class Limits:
    """
    Counts requests.

    See https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines. A request that is refused
    counts for none of the limits.
    """

    def __init__(
        self, settings: HubSpotSandboxSettings, clock: Callable[[], float], *, day: int = 0, today: int = 0
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._burst: deque[float] = deque()
        self._searches: deque[float] = deque()
        self.day = day
        """The day of `today`: days since 1970, by UTC."""
        self.today = today
        """Requests taken on that day."""

    def admit(self, *, search: bool) -> str | None:
        """Take a request, or name the policy that forbids it."""
        now = self._clock()
        self._forget(now)
        if self.today >= self._settings.daily:
            return "DAILY"
        if search:
            if len(self._searches) >= self._settings.searches:
                return "SECONDLY"
            self._searches.append(now)
        else:
            if len(self._burst) >= self._settings.requests:
                return "TEN_SECONDLY_ROLLING"
            self._burst.append(now)
        self.today += 1
        return None

    def headers(self) -> Mapping[str, str]:
        """What every answer but a search's tells of the limits."""
        now = self._clock()
        self._forget(now)
        settings = self._settings
        secondly = math.floor(settings.requests / settings.seconds)
        in_a_second = sum(1 for at in self._burst if at > now - 1)
        told = {
            "Daily": settings.daily,
            "Daily-Remaining": settings.daily - self.today,
            "Interval-Milliseconds": round(settings.seconds * 1000),
            "Max": settings.requests,
            "Remaining": settings.requests - len(self._burst),
            # Told still, and no longer held to.
            "Secondly": secondly,
            "Secondly-Remaining": secondly - in_a_second,
        }
        return {f"X-HubSpot-RateLimit-{name}": str(max(0, value)) for name, value in told.items()}

    def _forget(self, now: float) -> None:
        for times, span in ((self._burst, self._settings.seconds), (self._searches, 1.0)):
            while times and times[0] <= now - span:
                times.popleft()
        day = int(now // _DAY)
        if day != self.day:
            self.day, self.today = day, 0
