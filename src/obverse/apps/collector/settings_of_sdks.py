"""What SDKs are told when they start: where to send to, and to tell nobody else."""

from __future__ import annotations

from typing import Any, Final

MAX_AGE: Final = 300
"""Seconds for which browsers and what stands between may keep it."""


def for_segment(write_key: str, *, scheme: str, host: str) -> dict[str, Any]:
    """Return the least that analytics.js, and the mobile SDKs, start with. Its shape is Segment's CDN's."""
    everything = {"__default": {"enabled": True}}
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "apiHost": f"{host}/v1",
                "protocol": scheme,
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        "plan": {"track": everything, "identify": everything, "group": everything},
        "consentSettings": {"allCategories": [], "hasUnmappedDestinations": True},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        # Else analytics.js tells Segment how it fares.
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


def for_rudderstack(write_key: str, name: str) -> dict[str, Any]:
    """Return the least that RudderStack's JavaScript SDK starts with: no destinations in the browser, no reports."""
    silent = {"enabled": False}
    return {
        "source": {
            "id": name,
            "name": name,
            "writeKey": write_key,
            "enabled": True,
            "config": {"statsCollection": {"errors": silent, "metrics": silent}},
            "workspaceId": "obverse",
            "destinations": [],
            "connections": [],
            "dataplanes": {},
            "updatedAt": "1970-01-01T00:00:00.000Z",
        },
        "updatedAt": "1970-01-01T00:00:00.000Z",
    }
