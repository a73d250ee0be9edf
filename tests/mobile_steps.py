"""What Segment's SDKs for iOS and Android send, in the shape of analytics-swift and analytics-kotlin."""

from __future__ import annotations

import gzip
import json
from typing import Any

from door_steps import KEY, Door, Reply

IOS: dict[str, Any] = {
    "app": {"build": "42", "name": "Shop", "namespace": "com.example.shop", "version": "3.1.4"},
    "device": {
        "adTrackingEnabled": True,
        "advertisingId": "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB",
        "id": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB",
        "manufacturer": "Apple",
        "model": "iPhone17,1",
        "name": "iPhone",
        "token": "ff15bc0c20c4aa6cd50854ff165fd265c838e5405bfeb9571066395b8c9da449",
        "type": "ios",
    },
    "instanceId": "9C8B0E2D-6BFB-4B0F-9E43-3A7B1C9D2E10",
    "library": {"name": "analytics-swift", "version": "1.7.3"},
    "locale": "de-DE",
    "network": {"bluetooth": False, "cellular": True, "wifi": False},
    "os": {"name": "iOS", "version": "18.2"},
    "screen": {"height": 2622, "width": 1206},
    "timezone": "Europe/Berlin",
}
ANDROID: dict[str, Any] = {
    **IOS,
    "device": {
        "adTrackingEnabled": False,
        "id": "f2c1d0a49e3b48c7a1b0c9d8e7f60514",
        "manufacturer": "Google",
        "model": "Pixel 9",
        "name": "tokay",
        "type": "android",
    },
    "library": {"name": "analytics-kotlin", "version": "1.19.1"},
    "network": {"bluetooth": False, "carrier": "Telekom.de", "cellular": False, "wifi": True},
    "os": {"name": "Android", "version": "15"},
    "screen": {"density": 2.625, "height": 2424, "width": 1080},
    "userAgent": "Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9 Build/AP3A.241005.015)",
}
_METADATA = {"bundled": ["Adjust"], "unbundled": [], "bundledIds": ["5e8f"]}


def mobile(context: dict[str, Any]) -> dict[str, Any]:
    """What the body of a device's request says."""
    system = context["device"]["type"]
    calls: list[dict[str, Any]] = [
        {"type": "track", "event": "Application Opened", "properties": {"from_background": False, "version": "3.1.4"}},
        {"type": "screen", "name": "Cart", "category": "Checkout", "properties": {"items": 2}},
        {"type": "identify", "userId": "u-7", "traits": {"email": "ada@example.com", "plan": "pro"}},
        {"type": "group", "userId": "u-7", "groupId": "g-1", "traits": {"name": "Initech"}},
        {"type": "alias", "userId": "u-7", "previousId": f"{system}-before"},
        {"type": "track", "event": "Grüße ☕", "userId": "u-7", "properties": {"total": 12.50, "nul": "\0"}},
    ]
    common = {"anonymousId": f"{system}-device", "context": context, "_metadata": _METADATA}
    batch = [
        {
            **common,
            "integrations": {"Segment.io": True, "Adjust": False} if place else {},
            "messageId": f"{system}-{place}",
            "timestamp": f"2026-01-01T09:00:0{place}.125Z",
            **call,
        }
        for place, call in enumerate(calls)
    ]
    return {"batch": batch, "sentAt": "2026-01-01T09:00:30.500Z", "writeKey": KEY}


async def send_mobile(door: Door, body: dict[str, Any]) -> Reply:
    """Send a body as a device does: as text, packed, with the key in it alone."""
    packed = gzip.compress(json.dumps(body).encode(), mtime=0)
    return await door.post(packed, "/v1/b", content_type="text/plain", content_encoding="gzip")
