"""The command `demo`: an installation of its own, with six weeks of a real shop's orders."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import open_runtime
from obverse.apps import data_folder, processes
from obverse.apps.cli.installation import new_link, until_ready, where
from obverse.apps.demo.account import connect, set_up_account
from obverse.apps.demo.player import play
from obverse.apps.demo.shop import open_shop
from obverse.apps.log_stand_ins import cache_to_use, log_to_use
from obverse.apps.own_secrets import own_secret
from obverse.apps.roles import api_key
from obverse.apps.sandbox import HUBSPOT_TOKEN
from obverse.apps.sources import add_source, new_key
from obverse.apps.supervisor import Running, Supervisor
from obverse.settings import Settings

MARKER: Final = ".obverse-demo"
"""A file that says: this data folder is the demo's, and may be emptied."""


class NotOurs(RuntimeError):
    """A folder that the demo did not make."""


async def demo(settings: Settings, *, leave: bool, as_json: bool) -> int:
    """Play the shop's six weeks; returns the exit code."""
    console = Console(stderr=True)
    if settings.database_url is not None:
        raise NotOurs("the demo empties its database first, so it uses the embedded one: unset DATABASE_URL")
    check_ours(settings.data)
    settings = settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update={"hubspot": True})})
    stop = processes.stop_on_signals()
    # First of all, for it claims the folder and the ports: what runs already is not emptied under its feet.
    supervisor = Supervisor(settings, stop)
    await empty(settings.data)
    definitions = settings.definitions_folder
    shutil.copytree(Path(str(files("obverse.apps.demo") / "definitions")), definitions)
    key = new_key()
    add_source(definitions, "shop", key)
    async with (
        log_to_use(settings, settings.data / "log") as log,
        cache_to_use(log.settings) as cache,
    ):
        supervisor.use_log(log)
        supervisor.use_log(cache)
        running = asyncio.create_task(supervisor.run())
        try:
            await until_ready(supervisor.ready, running)
            if supervisor.ready.is_set():
                playing = asyncio.create_task(_play(supervisor.running, settings, key, console))
                await asyncio.wait([playing, running], return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    _summarise(console, playing.result(), key)
                    if not leave:  # else they lead nowhere in a moment
                        link = await new_link(settings, supervisor.running.api)
                        _say_places(console, where(settings, supervisor.running), link)
                    if as_json:
                        _print(playing.result())
                playing.cancel()
                if leave:
                    stop.set()
        except BaseException:
            stop.set()
            raise
        finally:
            await running
    return 0


def check_ours(data: Path) -> None:
    """
    See that the folder may be emptied, and mark it as the demo's.

    Raises:
        BadDataFolder: it cannot be made.
        NotOurs: there is something in it, and the demo did not make it.
    """
    data_folder.make(data)
    if any(data.iterdir()) and not (data / MARKER).exists():
        raise NotOurs(f"{data} was not made by the demo, which would empty it: choose another --data")
    (data / MARKER).touch()


async def empty(data: Path) -> None:
    """Remove what an earlier demo left in its folder; it has ended."""
    await EmbeddedServer(data).erase()
    for path in data.iterdir():
        if path.name not in {MARKER, data_folder.LOCK}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


async def _play(running: Running, settings: Settings, key: str, console: Console) -> dict[str, Any]:
    runtime = open_runtime()
    shop = open_shop()
    hubspot = f"{running.sandbox}/hubspot"
    key_of_api = api_key(settings)
    async with _session() as http:
        token = own_secret(settings.data, HUBSPOT_TOKEN)
        await set_up_account(http, hubspot, token, f"{running.collector}/webhooks/crm/hubspot")
    connect(settings.definitions_folder, hubspot)
    began = runtime.elapsed()
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bars:
        bar = bars.add_task("orders", total=shop.event_count)

        def progress(sent: int, total: int, day: date) -> None:
            bars.update(bar, completed=sent, total=total, description=f"the shop's {day:%d %B %Y}")

        played = await play(
            running.collector, key, shop.events(), total=shop.event_count, runtime=runtime, progress=progress
        )
        overview = await _settled(running.api, key_of_api)
        seconds = runtime.elapsed() - began
        bars.update(bar, description="contacts and mails")
        await _delivered(running.api, key_of_api)
        contacts = await _figure(f"{hubspot}/sandbox/figures", "contacts")
        emails = await _figure(f"{running.sandbox}/inbox/figures", "distinct")
    return {
        "events_accepted": played.events_accepted,
        "profiles": overview["profiles"],
        "merges": overview["merges"],
        "audiences": overview["audiences"],
        "crm_contacts": contacts,
        "emails_sent": emails,
        "seconds": round(seconds, 2),
        "events_per_second": round(played.events_accepted / seconds),
    }


def _session(key: str = "") -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), headers=headers)


async def _settled(api: str, key: str) -> Mapping[str, Any]:
    """The overview, once everything that was accepted is folded and kept."""
    return await _overview_once(
        api, key, lambda figures: figures["lag"] and not any(map(_lag, figures["lag"].values()))
    )


async def _delivered(api: str, key: str) -> Mapping[str, Any]:
    """The overview, once nothing waits to go out any more."""
    return await _overview_once(
        api,
        key,
        lambda figures: (
            all(behind == 0 for behind in figures["behind"].values())
            and figures["connections"]
            and all(one["state"] == "ok" and one["waiting"] == 0 for one in figures["connections"])
            and figures["messages"]["queued"] == figures["messages"]["sending"] == 0
        ),
    )


def _lag(part: Mapping[str, Any]) -> int:
    lag: int = part["lag"]
    return lag


async def _overview_once(api: str, key: str, done: Callable[[Mapping[str, Any]], object]) -> Mapping[str, Any]:
    async with _session(key) as http:
        while True:
            overview = await _asked(http, f"{api}/v1/overview")
            if overview is not None and done(overview):
                return overview
            await asyncio.sleep(0.05)


async def _figure(url: str, name: str) -> int:
    async with _session() as http:
        while (figures := await _asked(http, url)) is None:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
        return int(figures[name])


async def _asked(http: aiohttp.ClientSession, url: str) -> Mapping[str, Any] | None:
    """What is answered; None while what we ask is being started again."""
    try:
        async with http.get(url) as answer:
            if answer.ok:
                asked: dict[str, Any] = msgspec.json.decode(await answer.read())
                return asked
    except (aiohttp.ClientError, TimeoutError):
        pass
    return None


def _summarise(console: Console, figures: dict[str, Any], key: str) -> None:
    audiences = ", ".join(f"{name} {size:,}" for name, size in sorted(figures["audiences"].items()))
    console.print(
        f"\n{figures['events_accepted']:,} events in {figures['seconds']:.1f} s "
        f"({figures['events_per_second']:,} a second)\n"
        f"{figures['profiles']:,} profiles after {figures['merges']:,} merges\n"
        f"Audiences: {audiences}\n"
        f"{figures['crm_contacts']:,} contacts in the HubSpot sandbox, {figures['emails_sent']:,} mails in the inbox\n"
    )
    console.print(f"Write key of source shop (shown once): {key}", soft_wrap=True)


def _say_places(console: Console, places: str, link: str) -> None:
    """Where what stays up is reached."""
    console.print(f"\n{places}", soft_wrap=True, markup=False)
    console.print(f"\nThe console (this link signs in once): {link}", soft_wrap=True)


def _print(figures: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(figures).decode() + os.linesep)
    sys.stdout.flush()
