"""
Signs webhooks as HubSpot does.

See https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

# The characters that a receiver decodes in the address before it hashes, and so the sender.
_DECODED: Final = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def sign_v1(secret: str, body: bytes) -> str:
    """The `X-HubSpot-Signature` of version v1, which webhooks of CRM objects bear."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def sign_v3(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """The `X-HubSpot-Signature-v3`; `timestamp` is in milliseconds, as its header says it."""
    said = f"{method}{decode(url)}".encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), said, hashlib.sha256).digest()).decode()


def decode(url: str) -> str:
    """The address with those of its characters decoded that HubSpot names, and no others."""
    return _DECODED.sub(lambda found: chr(int(found[1], 16)), url)
