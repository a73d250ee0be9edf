"""What a HubSpot sandbox is told when it opens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

# HubSpot's own examples use this account and this app.
PORTAL_ID: Final = 62515
APP_ID: Final = 54321


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotSandboxSettings:
    """The account that the sandbox plays, its limits, and how its webhooks misbehave."""

    token: str = field(repr=False)
    """The private app's bearer token."""

    client_secret: str = field(repr=False)
    """Signs webhooks."""

    webhook_url: str | None = None
    """Where webhooks go. None sends none. A target set at run time takes its place, for good."""

    requests: int = 190
    """Most requests in any `seconds`: the burst limit of a Professional account."""

    seconds: float = 10.0
    """How long the burst limit looks back."""

    searches: int = 5
    """Most searches in any second: they have a limit of their own."""

    daily: int = 650_000
    """Most requests from one midnight (UTC) to the next."""

    seed: int | None = None
    """Of the dice that repeat and disorder webhooks."""

    repeats: float = 0.05
    """Share of webhook events that are sent twice."""

    disorder: float = 0.05
    """Share of webhook events that are held back behind later ones."""

    webhook_delay: float = 0.05
    """Seconds that events gather before a webhook request."""

    webhook_timeout: float = 5.0
    """Seconds after which a webhook that is not answered has failed."""

    retry_scale: float = 1.0
    """What the delays before a failed webhook is tried again, a day in all, are multiplied by."""
