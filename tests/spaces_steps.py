"""Steps of the tests that read the shop as Segment's clients do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import structs

from api_steps import build_api
from asgi import Answer, App, ask
from obverse.adapters.runtime.system import SystemRuntime
from obverse.core.events import Event
from reading import NOON, Shop

USERS = "/v1/spaces/main/collections/users/profiles"
ACCOUNTS = "/v1/spaces/main/collections/accounts/profiles"
HOUR = 3_600_000_000
DAY = 24 * HOUR


class AtNoon(SystemRuntime):
    """A clock that stands a day after the shop's first order, and may be set."""

    at = NOON + DAY

    def now(self) -> int:
        """See `Runtime.now`."""
        return self.at


def spaces(shop: Shop, **options: Any) -> App:
    """The API that reads this shop a day after its first order."""
    return build_api(shop, **{"runtime": AtNoon()} | options)


def moved(event: Event, by: int) -> Event:
    """The event, so many microseconds later."""
    return structs.replace(event, timestamp=event.timestamp + by, received_at=event.received_at + by)


def is_error(answer: Answer, status: int, code: str, words: str = "") -> bool:
    """Whether an answer is an error in Segment's form, with words for a person in it."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["request-id"]
    assert answer.json.keys() == {"error"}
    assert answer.json["error"].keys() == {"code", "message"}
    assert answer.json["error"]["code"] == code
    return words in answer.json["error"]["message"]


async def read(api: App, path: str) -> Any:
    """What is answered with 200."""
    answer = await ask(api, path)
    assert answer.status == 200, answer.body
    return answer.json


async def read_all(api: App, path: str, *, limit: int) -> list[Any]:
    """Every page of a list, as a client follows its cursor."""
    pages: list[Any] = []
    following = ""
    while True:
        page = await read(api, f"{path}?limit={limit}" + (f"&next={quote(following, safe='')}" if following else ""))
        cursor = page["cursor"]
        assert cursor.keys() == {"url", "has_more", "next", "limit"}
        assert (cursor["url"], cursor["limit"]) == (path, limit)
        assert cursor["has_more"] == bool(cursor["next"])
        pages.append(page)
        assert len(pages) < 1000, "the list goes round in a circle"
        if not cursor["has_more"]:
            return pages
        following = cursor["next"]
