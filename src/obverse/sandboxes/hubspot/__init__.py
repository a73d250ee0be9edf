"""A HubSpot on loopback: contacts, properties, limits and signed webhooks as HubSpot documents them."""

from __future__ import annotations

from obverse.sandboxes.hubspot.sandbox import HubSpotSandbox, open_hubspot_sandbox
from obverse.sandboxes.hubspot.settings import HubSpotSandboxSettings

__all__ = ["HubSpotSandbox", "HubSpotSandboxSettings", "open_hubspot_sandbox"]
