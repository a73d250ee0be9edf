"""In a whole installation: a replay mends who is otherwise, sends nothing twice, and goes on when the worker dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from installation import PATIENCE, Installation, installation, kill, running, start, until
from obverse.adapters.definition_files import read_files
from obverse.core import profiles
from obverse.core.definitions import Definitions
from obverse.core.documents.checking import check
from obverse.flows.current_definitions import read_documents
from obverse.wiring import checks, trait_kinds

pytestmark = pytest.mark.service

SHOP = """\
version: obverse/v1
kind: trait
metadata: {name: orders}
spec: {aggregate: count, event: Order Completed}
---
version: obverse/v1
kind: audience
metadata: {name: buyers}
spec: {where: {op: gte, trait: orders, value: 2}}
---
version: obverse/v1
kind: template
metadata: {name: thanks}
spec: {subject: Thank you, from: "shop@example.com", text: "Thank you, {{ customer.email }}"}
"""
CAMPAIGN = """\
version: obverse/v1
kind: campaign
metadata: {name: thank_buyers}
spec: {trigger: entered buyers, template: thanks}
"""
PEOPLE = 30
ORDERS = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A shop whose customers have all bought three times, before there was a campaign for them."""
    folder = tmp_path_factory.mktemp("replay")
    definitions = folder / "data" / "definitions"
    definitions.mkdir(parents=True)
    (definitions / "shop.yml").write_text(SHOP)
    async with installation(folder / "data") as opened:
        batch: list[dict[str, Any]] = [
            {"type": "identify", "userId": f"u{one}", "traits": {"email": f"u{one}@example.com"}}
            for one in range(PEOPLE)
        ]
        batch += [
            {"type": "track", "event": "Order Completed", "userId": f"u{number % PEOPLE}"}
            for number in range(ORDERS * PEOPLE)
        ]
        for at in range(0, len(batch), 100):
            status, _ = await opened.post("/v1/batch", {"writeKey": opened.key, "batch": batch[at : at + 100]})
            assert status == 200
        await until(lambda: _bought(opened))
        yield opened


async def _bought(here: Installation) -> bool:
    return await here.drained() and (await here.get("/v1/overview"))[1]["audiences"].get("buyers") == PEOPLE


async def replay(here: Installation, *arguments: str) -> tuple[int | None, Any]:
    """`obverse replay --json`: how it ended, and what it told; of an error, its words."""
    process = await start(here.data, "replay", *arguments, "--json")
    out, errors = await asyncio.wait_for(process.communicate(), 4 * PATIENCE)
    return process.returncode, msgspec.json.decode(out.splitlines()[-1]) if out else errors.decode()


async def orders(here: Installation) -> Counter[int]:
    """How many people have bought how often, in the store."""
    async with here.sql() as sql:
        rows = await sql.fetch("select (computed_traits ->> 'orders')::integer as orders from customer_profiles")
    return Counter(row["orders"] for row in rows)


async def mails(here: Installation) -> dict[str, int]:
    async with here.http.get(f"{here.note['sandbox']}/inbox/figures") as answer:
        told: dict[str, int] = await answer.json()
        return told


def defined(folder: Path) -> Definitions:
    checked = check(read_files([folder / "shop.yml"], folder).documents, checks())
    return read_documents(checked.documents.values(), trait_kinds())


async def harm(here: Installation, people: int) -> None:
    """Have some people have bought nothing, in the store; a worker that has died knows nothing of them."""
    definitions = defined(here.data / "definitions")
    await dies(here)
    async with here.sql() as sql:
        rows = await sql.fetch("select id, known, state from customer_profiles order by id limit $1", people)
        for row in rows:
            profile = profiles.unpack(profiles.whole(row["known"], row["state"]), definitions)
            profile.traits.clear()
            _, state = profiles.parts(profiles.pack(profile, definitions))
            await sql.execute(
                "update customer_profiles set state = $2, computed_traits = '{\"orders\": 0}' where id = $1",
                row["id"],
                state,
            )
    await until(here.ready)


async def dies(here: Installation) -> None:
    """Kill the worker, and wait until another one runs."""
    pid = here.note["pids"]["worker"]
    kill(pid)

    async def another() -> bool:
        note = running(here.data)
        return note is not None and note["pids"]["worker"] != pid

    await until(another)


@pytest.mark.asyncio(loop_scope="module")
class TestReplay:
    async def test_a_part_of_the_log_changes_nobody(self, here: Installation) -> None:
        code, told = await replay(here, "--to", "all", "--since", "7 days", "--yes")
        assert (code, told["state"]) == (0, "done"), told
        assert told["result"]["unify"]["changed"] == 0
        assert await orders(here) == {ORDERS: PEOPLE}
        code, told = await replay(here, "--to", "unify", "--partition", "7")
        assert (code, told["reason"]) == (1, "the stream of events has one partition, 0, and no 7: name one of these")

    async def test_whoever_is_otherwise_is_mended_and_mail_goes_out_once_though_the_worker_dies(
        self, here: Installation
    ) -> None:
        await harm(here, 10)
        (here.data / "definitions" / "campaign.yml").write_text(CAMPAIGN)

        async def planned() -> Any:
            code, told = await replay(here, "--to", "all")
            return (code, told) if told["plan"]["deliver"]["campaigns"] else None

        code, told = await until(planned)
        assert code == 2, "there is something to do, and nobody to ask"
        assert told["plan"]["unify"]["traits"] == {"orders": 10}
        assert told["plan"]["deliver"]["campaigns"]["thank_buyers"]["send"] == PEOPLE
        assert await orders(here) == {0: 10, ORDERS: PEOPLE - 10}
        assert (await mails(here))["messages"] == 0

        async def is_running() -> bool:
            status, _ = await here.get("/v1/overview")
            async with here.sql() as sql:
                state = await sql.fetchval("select state from replays where replay_id = $1", told["id"])
            return status == 200 and state in {"running", "done"}

        running_it = asyncio.create_task(replay(here, "--run", str(told["id"])))
        await until(is_running, every=0.005)
        await dies(here)
        code, done = await running_it
        assert (code, done["state"]) == (0, "done"), done

        async def sent() -> bool:
            return (await mails(here))["messages"] >= PEOPLE

        await until(sent)
        assert await orders(here) == {ORDERS: PEOPLE}
        code, again = await replay(here, "--to", "all", "--yes")
        assert (code, again["state"]) == (0, "done")
        assert again["result"]["deliver"]["campaigns"]["thank_buyers"]["send"] == 0
        figures = await mails(here)
        assert (figures["messages"], figures["distinct"]) == (PEOPLE, PEOPLE)

    async def test_the_ledger_tells_who_asked_for_what(self, here: Installation) -> None:
        code, listed = await replay(here, "--list")
        assert code == 0
        assert [one["id"] for one in listed] == sorted((one["id"] for one in listed), reverse=True)
        assert (listed[0]["state"], listed[-1]["to"]) == ("done", ["unify", "activate", "deliver"])
        assert all(one["by"].count("@") == 1 for one in listed)
