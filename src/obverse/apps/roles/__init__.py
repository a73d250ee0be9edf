"""The roles of an installation: collector, worker, api, sandbox. Each runs in a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import structlog

from obverse.adapters.postgres.server import EmbeddedServer
from obverse.apps import http_door, processes
from obverse.apps.roles.api import api, api_key
from obverse.apps.roles.collector import collector
from obverse.apps.roles.engine_host import engine_host
from obverse.apps.roles.flow_names import FLOWS
from obverse.apps.roles.opening import Doors, or_stop
from obverse.apps.roles.worker import worker
from obverse.core.definitions import BadDefinition
from obverse.settings import BadSettings, Settings
from obverse.wiring import Wiring, wire

__all__ = [
    "FLOWS",
    "HOSTS",
    "ROLES",
    "SMTP",
    "Doors",
    "Place",
    "api_key",
    "open_doors",
    "or_stop",
    "role_main",
    "run_role",
    "wiring_of",
]

ROLES: Final = ("collector", "worker", "api", "sandbox")
HOSTS: Final = ("engine-flink", "engine-spark")
"""Roles of those engines that do not fold in the worker. They have no doors, and touch no database."""
SMTP: Final = "smtp"
"""The second door of the sandbox."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role runs: what its supervisor has prepared for it, or nothing."""

    doors: Mapping[str, socket.socket] = field(default_factory=dict)
    """Listening already, and held open by the supervisor too, so that a restart refuses nobody; by role, and `SMTP`."""
    lifeline: int | None = None
    """See `processes.stop_on_signals`."""
    runtime_dir: Path | None = None
    """Folder for the sockets between our processes."""


def wiring_of(role: str, settings: Settings, place: Place) -> Wiring:
    """
    The wiring of a role: its own login to the embedded database, or the database that the settings name.

    Raises:
        ServerFailed: there is no embedded database in the data folder; `obverse up` makes it.
    """
    query_dsn = ""
    if role == "sandbox" or role in HOSTS:
        dsn = ""  # it stands for the outside, or is told by Kafka: it has no business with our database
    elif settings.database_url:
        dsn = settings.database_url.get_secret_value()
        query_dsn = (settings.query_database_url or settings.database_url).get_secret_value()
    else:
        server = EmbeddedServer(settings.data)
        dsn = server.dsn(f"obverse_{role}")
        if role == "worker":
            query_dsn = server.dsn("obverse_query")
    # What a supervisor starts has one that applies the folder of definitions whenever it changes.
    live = place.lifeline is not None
    runtime_dir = place.runtime_dir or settings.data
    return wire(settings, role=role, dsn=dsn, query_dsn=query_dsn, runtime_dir=runtime_dir, folder_is_live=live)


async def run_role(role: str, settings: Settings, place: Place | None = None) -> int:
    """Run one role until a signal, or the end of its supervisor, stops it."""
    place = place or Place()
    doors = {**open_doors(role, settings, but=place.doors), **place.doors}
    stop = processes.stop_on_signals(place.lifeline)
    wiring = wiring_of(role, settings, place)
    if place.runtime_dir is None:
        # By itself, on a machine where nothing of ours ever was.
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return await _MAINS[role](wiring, doors, stop)


def open_doors(role: str, settings: Settings, *, but: Collection[str] = ()) -> dict[str, socket.socket]:
    """
    Open the doors of a role, but those that are open already.

    Raises:
        PortTaken: with what to do about it.
    """
    if role in HOSTS:
        return {}
    place = getattr(settings, role)
    wanted = {role: (place.port, "port")}
    if role == "sandbox":
        wanted[SMTP] = (place.smtp_port, "smtp_port")
    return {
        name: http_door.listen(place.host, port, role, setting)
        for name, (port, setting) in wanted.items()
        if name not in but
    }


async def _sandbox(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    from obverse.apps.sandbox import sandbox

    await sandbox(wiring.settings, wiring.runtime, doors["sandbox"], doors[SMTP], stop)
    return 0


_MAINS: Final[Mapping[str, Callable[[Wiring, Doors, asyncio.Event], Coroutine[Any, Any, int]]]] = {
    "collector": collector,
    "worker": worker,
    "api": api,
    "sandbox": _sandbox,
    "engine-flink": partial(engine_host, "flink"),
    "engine-spark": partial(engine_host, "spark"),
}


UNUSABLE: Final = os.EX_CONFIG
"""The exit code of a role that cannot use its settings."""


def refusal(runtime_dir: Path, pid: int) -> Path:
    """Where a role's process says why it cannot."""
    return runtime_dir / f"refused-{pid}"


_NICE: Final = {"worker": 10}
"""Where all share one machine and want more than it has, senders are answered first, and the fold catches up later."""


def role_main(role: str, settings: Settings, doors: Doors, lifeline: Connection, runtime_dir: Path) -> None:
    """A role in a process of its own, forked from one that has imported everything."""
    processes.name_process(f"obverse-{role}")
    processes.give_way(_NICE.get(role, 0))
    processes.set_up_logging(settings.log_level)
    place = Place(doors, lifeline.fileno(), runtime_dir)
    try:
        sys.exit(processes.run(run_role(role, settings, place)))
    except BadSettings as error:
        # They are the same whenever it is started again.
        refusal(runtime_dir, os.getpid()).write_text(str(error), encoding="utf-8")
        sys.exit(UNUSABLE)
    except BadDefinition as error:
        structlog.get_logger(__name__).error("a definition cannot be used", role=role, reason=str(error))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - told, whatever it is, and the supervisor starts it again
        structlog.get_logger(__name__).exception("the role failed", role=role, reason=str(error))
        sys.exit(1)
