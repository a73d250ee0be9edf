"""Logs in which few people show few identifiers, drawn for the tests of laws."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from obverse.core.events import Event
from people_steps import bought, event

USERS = st.none() | st.sampled_from(["u1", "u2", "null"])
DEVICES = st.none() | st.sampled_from(["a1", "a2", "a3"])
ADDRESSES = st.none() | st.sampled_from(["e1@example.com", "E1@example.com", "e2@example.com"])


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Draw a log in which few people show few identifiers, in many combinations; all message ids differ."""
    log = []
    for place in range(draw(st.integers(1, 10))):
        user, device, address = draw(USERS), draw(DEVICES), draw(ADDRESSES)
        ids: dict[str, Any] = {
            "user_id": user,
            "anonymous_id": device,
            "at": draw(st.integers(0, 3)),
            "received": place,
        }
        mail = {} if address is None else {"email": address}
        match draw(st.sampled_from(["page", "bought", "identify", "alias"])):
            case "page":
                log.append(event(f"m{place}", context=msgspec.json.encode({"traits": mail}), **ids))
            case "bought":
                price = draw(st.sampled_from([0, 1, -1, "7.50", 10, "none", None]))
                log.append(bought(f"m{place}", price, sku=draw(st.sampled_from("AB")), **ids))
            case "identify":
                plan = draw(st.sampled_from(["pro", "free", None]))
                log.append(event(f"m{place}", type_="identify", properties={"plan": plan, **mail}, **ids))
            case _:
                log.append(event(f"m{place}", type_="alias", previous_id=draw(DEVICES), **ids))
    return log
