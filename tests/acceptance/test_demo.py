"""The demo, as a person runs it, held against what plain Python computes from the shop's file."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from acceptance.demos import KILLS, assert_figures, play, short_folder, summary_of, until_killed
from acceptance.shop_figures import Figures, Person, shop_figures
from installation import PATIENCE, Installation, installation, start, until
from obverse.apps.demo.account import connect
from obverse.sandboxes.inbox import open_inbox
from serving import serving

pytestmark = pytest.mark.service

VICTIMS = ("worker", "collector", "postgres")
OUTWARD = ("worker", "api", "sandbox")


@pytest.fixture(scope="module")
def figures() -> Figures:
    return shop_figures()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as path:
        yield path


@pytest.fixture(scope="module")
def played(folder: Path, figures: Figures) -> Path:
    """The data folder of a demo that has ended, with its figures right."""
    data = folder / "one"
    assert_figures(asyncio.run(play(data)), figures)
    return data


@pytest.fixture
async def here(played: Path) -> AsyncIterator[Installation]:
    async with installation(played) as running_again:
        yield running_again


async def test_after_a_restart_every_persons_profile_is_there(here: Installation, figures: Figures) -> None:
    wrong = {}
    for identifier, person in people(figures):
        status, profile = await here.get(f"/v1/profiles/{quote(identifier, safe=':')}")
        if status != 200 or traits_of(profile["traits"]) != traits_of_person(person):
            wrong[identifier] = (status, profile)

    assert wrong == {}


async def test_sql_says_what_the_file_says(here: Installation, figures: Figures) -> None:
    async with here.sql() as connection:
        rows = await connection.fetch(
            """
            select i.identifier, p.computed_traits ->> 'lifetime_value' as computed,
                   (select sum((e.properties ->> 'revenue')::numeric) from person_events e
                     where e.profile_id = p.id and e.event_type = 'Order Completed') as summed
              from customer_profiles p join profile_identifiers i on i.profile_id = p.id
             where i.identifier like 'user_id:%' and p.merged_into is null
            """
        )
        stored = await connection.fetchval("select count(distinct message_id) from event_stream")
        rows_stored = await connection.fetchval("select count(*) from event_stream")

    assert stored == rows_stored == figures.events_accepted
    assert len(rows) == len(figures.customers)
    for row in rows:
        expected = figures.customers[row["identifier"].removeprefix("user_id:")].lifetime_value
        assert (row["summed"] or Decimal(0)) == Decimal(row["computed"] or 0) == expected, row["identifier"]


async def test_a_replay_of_the_whole_log_to_all_changes_nothing_and_sends_nothing(
    played: Path, figures: Figures
) -> None:
    async with installation(played, OBVERSE_SANDBOX__HUBSPOT="true") as here:
        await replays_change_nothing(here, figures)


async def replays_change_nothing(here: Installation, figures: Figures) -> None:
    async def compared() -> bool:
        status, told = await here.get("/v1/connections")
        return status == 200 and all((one["state"], one["waiting"]) == ("ok", 0) for one in told["connections"])

    connect(here.data / "definitions", f"{here.note['sandbox']}/hubspot")  # which has another port since the restart
    await until(here.drained)
    await until(compared)
    before = await everything(here)
    assert before["mails"]["distinct"] == figures.emails_sent
    assert before["contacts"]["contacts"] == figures.crm_contacts

    code, done = await replay(here, "--to", "all", "--yes")
    assert (code, done["state"]) == (0, "done"), done
    plan = done["plan"]
    assert [plan["unify"][name] for name in ("looked_at", "changed", "refused")] == [figures.profiles, 0, 0]
    (campaign,) = plan["deliver"]["campaigns"].values()
    assert (campaign["send"], campaign["over"], campaign["already"]["sent"]) == (0, 0, figures.emails_sent)
    assert sum(campaign["already"].values()) == figures.audiences["big_spenders"], "some have no address yet"
    (connection,) = plan["activate"]["connections"].values()
    assert (connection["create"], connection["update"], connection["unchanged"]) == (0, 0, figures.crm_contacts)
    assert done["result"]["activate"]["connections"]["hubspot"]["woken"] >= figures.crm_contacts
    await until(compared)
    assert await everything(here) == before


async def replay(here: Installation, *arguments: str) -> tuple[int | None, dict[str, Any]]:
    """`obverse replay`: how it ended, and what it told."""
    process = await start(here.data, "replay", *arguments, "--json")
    out, errors = await asyncio.wait_for(process.communicate(), 4 * PATIENCE)
    assert out, errors.decode()[-4000:]
    return process.returncode, summary_of(out)


async def everything(here: Installation) -> dict[str, Any]:
    """Digests of what is kept, and what arrived outside."""
    tables = {
        "customer_profiles": "id",
        "audience_members": "profile_id, audience",
        "messages": "id",
        "sync_records": "connection, profile_id",
    }
    async with here.sql() as sql:
        digests = {
            name: await sql.fetchval(f"select md5(string_agg(one::text, '|' order by {order})) from {name} as one")
            for name, order in tables.items()
        }
        changes = await sql.fetchval("select max(first_offset) from event_log where stream = 'changes'")
    async with here.http.get(f"{here.note['sandbox']}/inbox/figures") as answer:
        mails = await answer.json()
    async with here.http.get(f"{here.note['sandbox']}/hubspot/sandbox/figures") as answer:
        contacts = await answer.json()
    return {**digests, "changes": changes, "mails": mails, "contacts": contacts}


async def test_with_four_partitions_all_but_the_merges_are_the_same(folder: Path, figures: Figures) -> None:
    summary = await play(folder / "four", "--partitions", "4")

    assert_figures(summary, figures, merges=False)


@pytest.mark.parametrize("victims", [VICTIMS, OUTWARD], ids="-".join)
async def test_thirty_kills_change_nothing(folder: Path, figures: Figures, victims: Sequence[str]) -> None:
    data = folder / "-".join(("killed", *victims))
    seed = random.randrange(10**6)
    sys.stderr.write(f"seed {seed}\n")
    dice = random.Random(seed)
    process = await start(data, "demo", "--exit", "--json")
    communicating = asyncio.create_task(process.communicate())
    killed = await until_killed(data, process, dice, figures.events_accepted, victims)
    out, errors = await asyncio.wait_for(communicating, 6 * PATIENCE)

    assert process.returncode == 0, errors.decode()[-4000:]
    assert killed == KILLS, f"the demo ended after {killed} kills (seed {seed})"
    assert_figures(summary_of(out), figures)
    mails = await every_mail(data)
    assert Counter(mail["to"][0] for mail in mails) == Counter({mail["to"][0] for mail in mails}), "once each"
    assert len(mails) == figures.emails_sent


async def every_mail(data: Path) -> list[dict[str, Any]]:
    """All mails of the inbox that a demo has left, with those that came twice twice."""
    inbox = await open_inbox(data / "sandbox" / "inbox")
    try:
        async with serving(inbox.app) as url, aiohttp.ClientSession() as http:
            async with http.get(f"{url}/messages?limit=500") as answer:
                page = await answer.json()
            assert page["next"] is None
            mails: list[dict[str, Any]] = page["messages"]
            return mails
    finally:
        await inbox.close()


def people(figures: Figures) -> Iterator[tuple[str, Person]]:
    for user, person in figures.customers.items():
        yield f"user_id:{user}", person
    for invoice, person in figures.guests.items():
        yield f"anonymous_id:visitor-{invoice}", person


def traits_of(traits: dict[str, Any]) -> dict[str, Any]:
    return {
        "orders": traits.get("orders", 0),
        "lifetime_value": Decimal(str(traits.get("lifetime_value", 0))),
        "refunds": Decimal(str(traits.get("refunds", 0))),
        "first_order_at": traits.get("first_order_at"),
        "last_order_at": traits.get("last_order_at"),
        "favourite_product": traits.get("favourite_product"),
    }


def traits_of_person(person: Person) -> dict[str, Any]:
    return {
        "orders": person.orders,
        "lifetime_value": person.lifetime_value,
        "refunds": person.refunds,
        "first_order_at": instant(person.first_order_at),
        "last_order_at": instant(person.last_order_at),
        "favourite_product": person.favourite_product,
    }


def instant(moment: Any) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
