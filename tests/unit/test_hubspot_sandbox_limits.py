"""The burst limit, the searches' and the day's: each on its own, told in headers."""

from __future__ import annotations

from pathlib import Path

from hubspot_steps import CONTACTS, Account, Clock, account, assert_refused

SEARCH = f"{CONTACTS}/search"
PREFIX = "x-hubspot-ratelimit-"


async def statuses(hubspot: Account, count: int) -> list[int]:
    return [(await hubspot.ask("GET", CONTACTS)).status for _ in range(count)]


async def test_the_burst_limit_rolls(tmp_path: Path) -> None:
    async with account(tmp_path, requests=3, seconds=10) as hubspot:
        assert await statuses(hubspot, 2) == [200, 200]
        hubspot.clock.now += 5
        assert await statuses(hubspot, 3) == [200, 429, 429]
        hubspot.clock.now += 5
        # The first two are ten seconds old; what was refused counts for nothing.
        assert await statuses(hubspot, 3) == [200, 200, 429]


async def test_a_throttled_answer_names_its_policy(tmp_path: Path) -> None:
    async with account(tmp_path, requests=1) as hubspot:
        await hubspot.ask("GET", CONTACTS)
        answer = await hubspot.ask("POST", CONTACTS, {"properties": {"email": "a@b.co"}})
        body = assert_refused(answer, 429, "RATE_LIMITS")
        assert body["message"] == "You have reached your ten_secondly_rolling limit."
        assert (body["errorType"], body["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")
        assert answer.headers[PREFIX + "remaining"] == "0"
        assert "retry-after" not in answer.headers
        figures = await hubspot.figures()
        assert (figures["contacts"], figures["requests"], figures["throttled"]) == (0, 2, 1)


async def test_the_day_is_a_limit_of_its_own_until_midnight(tmp_path: Path) -> None:
    async with account(tmp_path, daily=2) as hubspot:
        assert await statuses(hubspot, 2) == [200, 200]
        body = assert_refused(await hubspot.ask("GET", CONTACTS), 429, "RATE_LIMITS")
        assert (body["message"], body["policyName"]) == ("You have reached your daily limit.", "DAILY")
        # 2023-11-14T22:13:20Z: midnight is 6,400 seconds away.
        hubspot.clock.now += 6_399
        assert await statuses(hubspot, 1) == [429]
        hubspot.clock.now += 1
        assert await statuses(hubspot, 1) == [200]


async def test_headers_tell_both_limits(tmp_path: Path) -> None:
    async with account(tmp_path, requests=190, seconds=10, daily=650_000) as hubspot:
        await hubspot.ask("GET", CONTACTS)
        answer = await hubspot.ask("GET", CONTACTS)
        told = {name.removeprefix(PREFIX): value for name, value in answer.headers.items() if name.startswith(PREFIX)}
        assert told == {
            "daily": "650000",
            "daily-remaining": "649998",
            "interval-milliseconds": "10000",
            "max": "190",
            "remaining": "188",
            "secondly": "19",
            "secondly-remaining": "17",
        }


async def test_searches_have_their_own_limit_and_no_headers(tmp_path: Path) -> None:
    async with account(tmp_path, requests=1, searches=2) as hubspot:
        answers = [await hubspot.ask("POST", SEARCH, {}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[2].json["message"] == "You have reached your secondly limit."
        assert not any(name.startswith(PREFIX) for answer in answers for name in answer.headers)
        assert await statuses(hubspot, 1) == [200]
        hubspot.clock.now += 1
        assert (await hubspot.ask("POST", SEARCH, {})).status == 200


async def test_a_wrong_token_uses_nothing_up(tmp_path: Path) -> None:
    async with account(tmp_path, requests=1) as hubspot:
        for _ in range(3):
            assert (await hubspot.ask("GET", CONTACTS, token="x")).status == 401
        assert await statuses(hubspot, 1) == [200]


async def test_the_day_is_remembered(tmp_path: Path) -> None:
    clock = Clock()
    async with account(tmp_path, clock, daily=2) as hubspot:
        await hubspot.create(email="a@b.co")
        # Not closed: the count was written with the contact.
        async with account(tmp_path, clock, daily=2) as again:
            assert await statuses(again, 2) == [200, 429]
