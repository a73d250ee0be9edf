"""A client of Segment's Profile API, and one that reads many at once, against a whole installation."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from yarl import URL

from installation import Installation, until
from obverse.apps.own_secrets import API_KEY, own_secret

pytestmark = pytest.mark.service

ODD = "a/traits+b%2F"
"""A customer number that an address must not take apart."""
ADDRESS = "/v1/spaces/main/collections/users/profiles/user_id:a%2Ftraits%2Bb%252F"


class Client:
    """What a client of Segment's does: Basic with the token, and `next` until there is no more."""

    def __init__(self, here: Installation) -> None:
        token = own_secret(here.data, API_KEY)
        self._here = here
        self._headers = {"Authorization": f"Basic {b64encode(f'{token}:'.encode()).decode()}"}

    async def read(self, path: str, **query: Any) -> tuple[int, Any]:
        """The status and the document."""
        url = URL(self._here.note["api"] + path, encoded=True).update_query(query)
        async with self._here.http.get(url, headers=self._headers) as answer:
            assert answer.headers["Request-Id"]
            return answer.status, msgspec.json.decode(await answer.read())

    async def pages(self, part: str, *, limit: int) -> list[Any]:
        """Every page of a part, by the address that the first one tells."""
        path, following, pages = f"{ADDRESS}/{part}", "", list[Any]()
        while len(pages) < 100:
            status, page = await self.read(path, limit=limit, next=following)
            assert status == 200, page
            pages.append(page)
            path, following = page["cursor"]["url"], page["cursor"]["next"]
            if not page["cursor"]["has_more"]:
                return pages
        raise AssertionError("the list goes round in a circle")


async def test_a_client_reads_everything_of_a_person(here: Installation) -> None:
    traits = {f"t{number:02}": number for number in range(25)}
    calls: list[dict[str, Any]] = [
        {"type": "identify", "userId": ODD, "anonymousId": "odd-1", "messageId": "odd", "traits": traits},
        *({"type": "group", "userId": ODD, "groupId": f"group-{number}"} for number in range(5)),
        *({"type": "track", "userId": ODD, "event": "Seen", "messageId": f"seen-{one}"} for one in range(30)),
    ]
    assert (await here.post("/v1/batch", {"writeKey": here.key, "batch": calls}))[0] == 200
    await until(here.drained)
    client = Client(here)

    found: dict[str, Any] = {}
    for page in await client.pages("traits", limit=10):
        found |= page["traits"]
    assert found.items() >= traits.items()
    ids = [one["id"] for page in await client.pages("external_ids", limit=1) for one in page["data"]]
    assert ids == ["odd-1", ODD]
    links = [one["external_ids"][0]["id"] for page in await client.pages("links", limit=2) for one in page["data"]]
    assert links == [f"group-{number}" for number in range(5)]
    events = [one["message_id"] for page in await client.pages("events", limit=7) for one in page["data"]]
    assert len(events) == len(set(events)) == len(calls)
    assert {f"seen-{one}" for one in range(30)} <= set(events)
    status, facts = await client.read(f"{ADDRESS}/metadata")
    assert (status, facts["metadata"]["first_source_id"]) == (200, "test")
    account = "/v1/spaces/main/collections/accounts/profiles/group_id:group-3/links"
    status, members = await client.read(account)
    assert [one["id"] for link in members["data"] for one in link["external_ids"]] == [ODD, "odd-1"]


async def test_many_are_read_at_once(here: Installation) -> None:
    calls = [{"type": "identify", "userId": f"many-{number}", "traits": {"number": number}} for number in range(150)]
    assert (await here.post("/v1/batch", {"writeKey": here.key, "batch": calls}))[0] == 200
    await until(here.drained)

    asked = [name for number in range(100) for name in (f"user_id:many-{number}", f"user_id:nobody-{number}")]
    status, answer = await here.ask("/v1/profiles/read", {"identifiers": asked, "include": ["attributes"]})

    assert status == 200
    assert [one["identifier"] for one in answer["profiles"]] == asked
    told = [one["profile"]["attributes"]["number"]["value"] for one in answer["profiles"] if one["found"]]
    assert told == list(range(100))
    assert {one["problem"]["status"] for one in answer["profiles"] if not one["found"]} == {404}
