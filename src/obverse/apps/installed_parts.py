"""The parts of an installation on one machine: which roles it runs, and what each worker of it does."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from obverse.apps import http_door
from obverse.apps.roles import FLOWS, HOSTS, ROLES, open_doors
from obverse.settings import Settings

OF_ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    "worker-identity": ("identity", "replaying"),
    "worker-keep": ("keep", "retain"),
}
"""What workers of their own do where profiles are folded elsewhere; the worker does the rest."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the installation."""

    role: str
    flows: tuple[str, ...] = ()
    """Of a worker, what it does; everything, if none is named."""
    apart: bool = False
    """Whether another part has the ports of its role; its own are any that are free."""

    def open_doors(self, settings: Settings) -> dict[str, socket.socket]:
        """
        Open its doors; some have none.

        Raises:
            PortTaken: with what to do about it.
        """
        if self.role in HOSTS:
            return {}
        if self.apart:
            return {self.role: http_door.listen(getattr(settings, self.role).host, 0, self.role, "port")}
        return open_doors(self.role, settings)

    def settings(self, settings: Settings) -> Settings:
        """What it is told."""
        if not self.flows:
            return settings
        return settings.model_copy(update={"worker": settings.worker.model_copy(update={"flows": list(self.flows)})})


def parts_of(settings: Settings) -> dict[str, Part]:
    """The parts of an installation with these settings, by their names."""
    engine, _ = settings.port_options("engine")
    parts = {role: Part(role) for role in ROLES}
    host = f"engine-{engine}"
    if host in HOSTS:
        own = {flow for flows in OF_ENGINES.values() for flow in flows}
        parts["worker"] = Part("worker", tuple(flow for flow in FLOWS if flow not in own))
        parts |= {name: Part("worker", flows, apart=True) for name, flows in OF_ENGINES.items()}
        parts[host] = Part(host)
    return parts
