"""What the roles open, and how their works run."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol, TypeVar

import structlog

from obverse.flows.current_definitions import CurrentDefinitions
from obverse.flows.placed_log import PlacedLog
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.profile_cache import ProfileCache
from obverse.ports.profile_store import ProfileStore
from obverse.wiring import Wiring

Doors = Mapping[str, socket.socket]


class _Closes(Protocol):
    async def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closes)


def closed_with(stack: AsyncExitStack, opened: _Opened) -> _Opened:
    """What was opened, to be closed with the stack."""
    stack.push_async_callback(opened.close)
    return opened


async def open_stores(stack: AsyncExitStack, wiring: Wiring) -> tuple[PlacedLog, ProfileStore, ProfileCache]:
    """What is read and written, closed with the stack."""
    log = closed_with(stack, await wiring.event_log())
    store = closed_with(stack, await wiring.profile_store())
    return log, store, closed_with(stack, await wiring.profile_cache())


async def open_definitions(stack: AsyncExitStack, wiring: Wiring) -> tuple[DefinitionStore, CurrentDefinitions]:
    """The definitions in force, to be watched, and their store, which is closed with the stack."""
    store = closed_with(stack, await wiring.definition_store())
    definitions = wiring.definitions(store)
    await definitions.open()
    return store, definitions


def start(
    stack: AsyncExitStack, wiring: Wiring, stop: asyncio.Event, works: Mapping[str, Coroutine[Any, Any, None]]
) -> None:
    """Start works, to be stopped with the stack; if one fails, the role ends."""
    for name, work in works.items():
        stack.push_async_callback(wiring.runtime.spawn(name, or_stop(name, work, stop)).stop)


async def until_moved(log: PlacedLog, stop: asyncio.Event) -> None:
    """A role whose log moves ends, and with the other one in force it begins anew."""
    await log.moved()
    stop.set()


async def or_stop(name: str, work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """A role without one of its works would look well and do nothing: it ends, and is started anew."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        structlog.get_logger(__name__).exception("a part failed, and the role ends", part=name, error=repr(error))
        stop.set()
