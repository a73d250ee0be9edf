"""Flink's API over HTTP: what runs, and to have it saved, rescaled and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from obverse.adapters._http import VendorHttp
from obverse.ports.outcomes import Unreachable

_LOOK: Final = 0.1
"""Seconds between two looks at what takes its time."""
FOLD: Final = "fold"
"""What the part of the job is called that runs in many tasks."""
_OVER: Final = frozenset({"FAILED", "CANCELED", "FINISHED", "SUSPENDED"})


class FlinkFailed(Exception):
    """Flink could not do what was asked; the message has its own words."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as Flink tells of it."""

    id: str
    state: str
    """`RUNNING` also while tasks are on their way into their slots."""

    @property
    def over(self) -> bool:
        """Whether it will never run again."""
        return self.state in _OVER


class FlinkRest:
    """The job manager of one cluster."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}"
        self._http = VendorHttp()

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    async def slots(self) -> int:
        """
        Slots that task managers have offered.

        Raises:
            Unreachable: the job manager does not answer.
        """
        return int((await self._call("GET", "/overview"))["slots-total"])

    async def find(self, name: str) -> Job | None:
        """The latest job of this name that is not over, if there is one."""
        jobs = (await self._call("GET", "/jobs/overview"))["jobs"]
        found = [one for one in jobs if one["name"] == name and one["state"] not in _OVER]
        latest = max(found, key=lambda one: int(one["start-time"]), default=None)
        return None if latest is None else Job(latest["jid"], latest["state"])

    async def tasks(self, job: str) -> Mapping[str, int]:
        """By name of each part of a job, in how many tasks it runs; none, while some of it does not run."""
        vertices = (await self._call("GET", f"/jobs/{job}"))["vertices"]
        if any(one["status"] != "RUNNING" for one in vertices):
            return {}
        return {one["name"]: one["parallelism"] for one in vertices}

    async def checkpoints(self, job: str) -> int:
        """How many checkpoints of a job were completed since it was submitted."""
        return int((await self._call("GET", f"/jobs/{job}/checkpoints"))["counts"]["completed"])

    async def cancel(self, job: str) -> None:
        """Stop a job; its latest checkpoint is kept."""
        await self._call("PATCH", f"/jobs/{job}?mode=cancel")

    async def save(self, job: str, folder: str, *, stop: bool) -> str:
        """
        Write a savepoint into a folder, and stop the job with it if told so; returns where it is.

        Raises:
            FlinkFailed: it could not be written; if so, the job goes on.
        """
        if stop:
            asked = await self._call("POST", f"/jobs/{job}/stop", {"drain": False, "targetDirectory": folder})
        else:
            asked = await self._call("POST", f"/jobs/{job}/savepoints", {"target-directory": folder})
        while True:
            told = await self._call("GET", f"/jobs/{job}/savepoints/{asked['request-id']}")
            if told["status"]["id"] == "COMPLETED":
                break
            await asyncio.sleep(_LOOK)
        done = told["operation"]
        if "location" not in done:
            raise FlinkFailed(f"the savepoint could not be written: {done.get('failure-cause', {}).get('stack-trace')}")
        while stop and (await self._state(job)) not in _OVER:  # noqa: ASYNC110 - it is over in another process
            await asyncio.sleep(_LOOK)
        return str(done["location"])

    async def rescale(self, job: str, parallelism: int) -> None:
        """
        Have a running job fold in so many tasks from now on, as soon as there are slots.

        It begins anew with its latest checkpoint, without a savepoint and without being submitted again.
        """
        path = f"/jobs/{job}/resource-requirements"
        wanted = await self._call("GET", path)
        for one in (await self._call("GET", f"/jobs/{job}"))["vertices"]:
            if FOLD in one["name"].split():
                wanted[one["id"]]["parallelism"] = {"lowerBound": 1, "upperBound": parallelism}
        await self._call("PUT", path, wanted)

    async def _state(self, job: str) -> str:
        return str((await self._call("GET", f"/jobs/{job}"))["state"])

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = await self._http.call(method, f"{self._url}{path}", headers={}, json=body, who="Flink's job manager")
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise Unreachable("Flink's job manager is not ready")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            told = " ".join(str(one).partition("\n")[0] for one in (answer.json or {}).get("errors", ()))
            raise FlinkFailed(f"Flink refused {method} {path}: {told or answer.status}")
        return answer.json
