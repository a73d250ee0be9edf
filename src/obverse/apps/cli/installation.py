"""The commands that run and prepare an installation: up, migrate, sign-in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from obverse.adapters.definition_files import read_files
from obverse.adapters.postgres import schema
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps import own_secrets, processes
from obverse.apps.roles import Place, wiring_of
from obverse.apps.sources import add_source, new_key
from obverse.apps.supervisor import Running, Supervisor
from obverse.core.definitions import BadDefinition
from obverse.core.documents.checking import check
from obverse.core.flaws import REFERENCE, told
from obverse.flows.sign_in import SignIn
from obverse.ports.outcomes import Unreachable
from obverse.settings import Settings
from obverse.wiring import checks


async def up(settings: Settings) -> int:
    """Run an installation until a signal stops it."""
    stop = processes.stop_on_signals()
    supervisor = Supervisor(settings, stop)
    key = first_source(settings)
    refuse_flaws(settings)
    running = asyncio.create_task(supervisor.run())
    await until_ready(supervisor.ready, running)
    if supervisor.ready.is_set():
        say(where(settings, supervisor.running))
        await say_first_link(settings, supervisor.running)
        if key is not None:
            say(f"Write key of source default (shown once): {key}")
        elif not has_source(settings):
            say(f"No file in {settings.definitions_folder} makes a source: `obverse source add NAME` shows a write key")
    elif key is not None:
        # Nobody has seen its key; the next start makes another, and shows it.
        forget_first_source(settings)
    await running
    return 0


def refuse_flaws(settings: Settings) -> None:
    """
    See, before anything is started, that the folder of definitions can be read; what it refers to may be stored.

    Raises:
        BadDefinition: a line for each flaw.
    """
    files = read_files([settings.definitions_folder], settings.definitions_folder)
    checked = check(files.documents, checks())
    flaws = [one for one in sorted([*files.flaws, *checked.flaws]) if one.rule != REFERENCE]
    if flaws:
        raise BadDefinition(told(flaws))


def first_source(settings: Settings) -> str | None:
    """On the very first start make a source, so that an SDK can be pointed here at once; returns its key."""
    folder = settings.definitions_folder
    if folder.exists():
        return None
    key = new_key()
    add_source(folder, "default", key)
    return key


def has_source(settings: Settings) -> bool:
    """Whether a file in the folder of definitions says who may send."""
    files = read_files([settings.definitions_folder], settings.definitions_folder)
    return any(isinstance(one.tree, dict) and one.tree.get("kind") == "source" for one in files.documents)


def forget_first_source(settings: Settings) -> None:
    """Take back what `first_source` has made; what others have put there meanwhile stays."""
    folder = settings.definitions_folder
    (folder / "sources" / "default.yml").unlink(missing_ok=True)
    with suppress(OSError):
        (folder / "sources").rmdir()
        folder.rmdir()


def say(line: str) -> None:
    """Tell a person; results for programs go to stdout, and nothing else does."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def where(settings: Settings, running: Running) -> str:
    """Where to send and where to read."""
    key = "api.key" if settings.api.key else f"$(cat {settings.data / own_secrets.FOLDER / own_secrets.API_KEY})"
    return (
        f"Send events to   {running.collector}  (any Segment SDK: set this as its host)\n"
        f'Read profiles at {running.api}/v1/profiles/user_id:…  with the header "Authorization: Bearer {key}"\n'
        f"Documentation:   {running.api}/docs"
    )


async def say_first_link(settings: Settings, running: Running) -> None:
    """Tell how to sign in, if nobody has ever signed in. What runs goes on without it."""
    try:
        link = await first_link(settings, running)
    except Unreachable as error:
        say(f"No link to sign in with yet ({error}): `obverse sign-in` prints one")
    else:
        if link is not None:
            say(f"Sign in (works once): {link}")


async def first_link(settings: Settings, running: Running) -> str | None:
    """A link that signs in once, if nobody has ever signed in."""
    async with _sign_in(settings) as flow:
        token = await flow.first_link()
        return None if token is None else _link(settings.api.public_url or running.api, token)


async def new_link(settings: Settings, api: str) -> str:
    """A link that signs in once, to the api that is reached there."""
    async with _sign_in(settings) as flow:
        return _link(api, await flow.link())


async def sign_in(settings: Settings) -> int:
    """
    Print a link that signs in once.

    Raises:
        NotRunning: nobody answers where the link would lead.
    """
    sys.stdout.write(await new_link(settings, settings.api.public_url or _running(settings).api) + "\n")
    return 0


def _running(settings: Settings) -> Running:
    try:
        return msgspec.json.decode((settings.data / "run.json").read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError) as error:
        raise NotRunning(
            f"nothing runs in {settings.data}: start `obverse up`, say --data FOLDER, or, where each role runs by "
            "itself, set api.public_url (OBVERSE_API__PUBLIC_URL)"
        ) from error


def hold_running(settings: Settings) -> None:
    """
    See that the database can be there: the embedded one runs as long as its installation does.

    Raises:
        NotRunning: it does not.
    """
    if settings.database_url is None and not (settings.data / "run.json").exists():
        raise NotRunning(f"nothing runs in {settings.data}: start `obverse up`, or say --data FOLDER")


class NotRunning(RuntimeError):
    """The installation does not run."""


def _link(api: str, token: str) -> str:
    # Behind the #, since what stands there is sent to nobody and is in no log.
    return f"{api}/sign-in#token={token}"


@asynccontextmanager
async def _sign_in(settings: Settings) -> AsyncIterator[SignIn]:
    wiring = wiring_of("api", settings, Place())
    sessions = await wiring.sessions()
    try:
        yield wiring.sign_in(sessions)
    finally:
        await sessions.close()


async def until_ready(event: asyncio.Event, running: asyncio.Task[None]) -> None:
    """Wait until the event is set, or the installation has ended."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def migrate(settings: Settings, *, sql: bool) -> int:
    """Apply or print what is missing; returns the exit code."""
    if settings.database_url is not None:
        await _migrate(settings.database_url.get_secret_value(), sql=sql)
        return 0
    server = EmbeddedServer(settings.data)
    was_running = (settings.data / "run.json").exists()
    await server.start()
    try:
        await _migrate(server.dsn("obverse_owner"), sql=sql)
    finally:
        if not was_running:
            await server.stop()
    return 0


async def _migrate(dsn: str, *, sql: bool) -> None:
    if sql:
        sys.stdout.write(await schema.pending_sql(dsn))
        return
    applied = await schema.migrate(dsn)
    sys.stdout.write("".join(f"applied {name}\n" for name in applied) or "the schema is up to date\n")
