"""In a whole installation: a file brought in by the command, killed at half, gone on with; each row is there once."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from installation import PATIENCE, Installation, environment, kill, running, until

pytestmark = pytest.mark.service
UPLOADED = 20_000
ROWS = int(os.environ.get("OBVERSE_LOAD_ROWS", "6000"))


def write_orders(path: Path) -> list[int]:
    """Orders of ten a person, one in a hundred wrong; returns the lines of these."""
    wrong = []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["order", "Customer ID", "E-Mail", "Total", "Order Date"])
        for number in range(ROWS):
            total = f"{number % 90}.50"
            if number % 100 == 99:
                wrong.append(number + 2)
                total = "a lot"
            person = number % (ROWS // 10)
            day = f"2024-03-{1 + number % 28:02} 10:00"
            writer.writerow([f"{path.stem}-{number}", f"{path.stem}-{person}", f"{person}@load.example", total, day])
    return wrong


async def command(here: Installation, path: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "obverse.apps.cli", "load", str(path), "--data", str(here.data), *options),
        env=environment(),
        cwd=path.parent,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def told(here: Installation, path: Path, *options: str) -> tuple[int | None, Any, str]:
    """Exit code, the JSON line, and what was said to people."""
    process = await command(here, path, "--json", *options)
    said, words = await asyncio.wait_for(process.communicate(), 2 * PATIENCE)
    return process.returncode, msgspec.json.decode(said) if said else None, words.decode()


class Between:
    """A door before the collector: it lets so many batches through, and holds the others until it is told to let go."""

    def __init__(self, here: Installation, after: int) -> None:
        self._here = here
        self._left = after
        self._let_go = asyncio.Event()
        self.holds = asyncio.Event()
        """Set once one is held."""
        self.url = ""

    def let_go(self) -> None:
        self._let_go.set()

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/v1/batch":
            self._left -= 1
            if self._left < 0:
                self.holds.set()
                await self._let_go.wait()
        headers = {name: value for name, value in request.headers.items() if name not in {"Host", "Content-Length"}}
        url = self._here.note["collector"] + request.path
        async with self._here.http.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read())


@asynccontextmanager
async def between(here: Installation, after: int) -> AsyncIterator[Between]:
    found = Between(here, after)
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{path:.*}", found.pass_on)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        found.let_go()
        await runner.cleanup()


async def stored(here: Installation, name: str) -> tuple[int, int]:
    """Events of this file's people in the store, and how many of them are distinct."""
    async with here.sql() as sql:
        row = await sql.fetchrow(
            "select count(*), count(distinct message_id) from event_stream where source = 'load' and user_id like $1",
            f"{name}-%",
        )
    return row[0], row[1]


def rejected_lines(path: str) -> list[tuple[int, str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [(int(row["line"]), row["column"], row["reason"]) for row in csv.DictReader(file)]


OPTIONS = ("--event", "Order Completed", "--type", "Total=decimal", "--id", "order")


async def test_killed_at_half_and_started_again_each_row_is_there_once(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    wrong = write_orders(path)
    good = ROWS - len(wrong)
    async with between(here, ROWS // 1000) as door:
        through = (*OPTIONS, "--source", "load", "--collector", door.url)
        process = await command(here, path, *through)
        await asyncio.wait_for(door.holds.wait(), PATIENCE)
        process.kill()
        await process.communicate()
        door.let_go()
        code, outcome, words = await told(here, path, *through)
        assert code == 2, words
        assert (outcome["taken"], outcome["refused"], outcome["done"]) == (good, len(wrong), True)
        code, again, _ = await told(here, path, *through)
        assert (code, again["already"]) == (2, True)
    assert rejected_lines(outcome["rejects"]) == [
        (line, "Total", "'a lot' is no decimal such as 1234.56") for line in wrong
    ]
    await until(here.drained)
    assert await stored(here, "orders") == (good, good)
    status, profile = await here.get("/v1/profiles/user_id:orders-7")
    assert status == 200
    status, by_email = await here.get("/v1/profiles/email:7@load.example")
    assert (status, by_email["id"]) == (200, profile["id"])


async def test_stopped_by_a_person_it_ends_well_and_goes_on(here: Installation, tmp_path: Path) -> None:
    path = tmp_path / "stopped.csv"
    wrong = write_orders(path)
    async with between(here, 3) as door:
        through = (*OPTIONS, "--source", "load", "--collector", door.url)
        process = await command(here, path, *through, "--yes")
        await asyncio.wait_for(door.holds.wait(), PATIENCE)
        process.send_signal(signal.SIGINT)
        door.let_go()
        _, words = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 130, words
        assert "The same command goes on from here" in words.decode()
        code, outcome, said = await told(here, path, *through)
        assert code == 2, said
    assert outcome["taken"] == ROWS - len(wrong)
    await until(here.drained)
    assert await stored(here, "stopped") == (ROWS - len(wrong), ROWS - len(wrong))


async def test_a_dry_run_shows_what_would_come_and_a_saved_mapping_does_it(here: Installation, tmp_path: Path) -> None:
    path, mapping = tmp_path / "dry.csv", tmp_path / "mapping.yml"
    wrong = write_orders(path)
    code, trial, words = await told(here, path, *OPTIONS, "--dry-run", "--save-mapping", str(mapping))
    assert code == 2, words
    assert (trial["taken"], trial["refused"]) == (ROWS - len(wrong), len(wrong))
    assert trial["reasons"][0] | {"reason": ""} == {"column": "Total", "reason": "", "line": 101, "rows": len(wrong)}
    assert trial["events"][0]["properties"] == {"email": "0@load.example", "Total": 0.5}
    assert not (tmp_path / "dry.csv.load.json").exists()
    assert await stored(here, "dry") == (0, 0)
    code, outcome, words = await told(here, path, "--mapping", str(mapping))
    assert (code, outcome["taken"]) == (2, ROWS - len(wrong)), words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--map", "user_id"), "--map 'user_id': write NAME=VALUE, each name once"),
        (("--source", "../x"), "cannot name a source"),
        (("--write-key", "wk_wrong"), "401 invalid_write_key"),
        (("--collector", "nowhere", "--write-key", "k"), "is no address of a collector"),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_line(
    here: Installation, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    path = tmp_path / "a.csv"
    write_orders(path)
    code, outcome, said = await told(here, path, *options)
    assert (code, outcome) == (1, None)
    assert words in said
    assert "Traceback" not in said


async def test_where_nothing_runs_a_key_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_orders(path)
    async with aiohttp.ClientSession() as http:
        nobody = Installation(tmp_path / "none", None, http, "")  # type: ignore[arg-type]  # there is no process
        code, _, said = await told(nobody, path)
    assert code == 1
    assert "no installation runs in" in said
    assert "--write-key KEY --collector URL" in said


async def test_a_load_outlives_its_role(here: Installation) -> None:
    rows = "".join(f"outlives-{number % 500},{number}\n" for number in range(UPLOADED))
    api = here.note["api"]
    async with here.http.post(f"{api}/v1/loads?name=a.csv", data=("user_id,n\n" + rows).encode()) as answer:
        made = await answer.json()
        assert answer.status == 201, made
    mapping = made["mapping"] | {"type": "track", "event": "Seen"}
    async with here.http.put(f"{api}/v1/loads/{made['id']}/mapping", json=mapping) as answer:
        assert answer.status == 200, await answer.text()
    status, started = await here.ask(f"/v1/loads/{made['id']}/start")
    assert (status, started["state"]) == (200, "running")
    status, problem = await here.ask(f"/v1/loads/{made['id']}/start")
    assert (status, problem["type"]) == (409, "urn:obverse:problem:load-runs")
    killed = here.note["pids"]["api"]
    kill(killed)

    async def back() -> bool:
        note = running(here.data)
        return note is not None and note["pids"]["api"] != killed and await here.ready()

    await until(back)

    async def done() -> bool:
        _, load = await here.get(f"/v1/loads/{made['id']}")
        assert load["state"] in {"running", "done"}, load
        return bool(load["state"] == "done")

    await until(done, seconds=120)
    _, load = await here.get(f"/v1/loads/{made['id']}")
    assert (load["taken"], load["refused"], load["position"]) == (UPLOADED, 0, 1)
    await until(here.drained)
    async with here.sql() as sql:
        found = await sql.fetchrow(
            "select count(*), count(distinct message_id) from event_stream where user_id like 'outlives-%'"
        )
    assert tuple(found) == (UPLOADED, UPLOADED)
