"""The live folder of `obverse up`: applied at the start and whenever a file changes, by the code of `obverse apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from obverse.adapters.definition_files import read_files, times
from obverse.core.definitions import BadDefinition
from obverse.core.flaws import told
from obverse.flows.apply_definitions import ApplyDefinitions, Plan, Scope
from obverse.ports.definition_store import LostRace
from obverse.ports.outcomes import AccessRefused, Unreachable
from obverse.ports.runtime import Runtime

LOOK: Final = 0.5
"""Seconds between two looks at the files' times of change."""
_BY: Final = "obverse up"

_log = structlog.get_logger(__name__)


class LiveFolder:
    """Brings what a folder says into force. It removes nothing: what is stored and not in the folder is told."""

    def __init__(self, folder: Path, project: str, apply: ApplyDefinitions, runtime: Runtime) -> None:
        self._folder = folder
        self._scope = Scope(project=project, whole=True)
        self._apply = apply
        self._runtime = runtime
        self._seen: dict[str, tuple[int, int]] | None = None
        self._kept: list[str] = []

    async def open(self) -> None:
        """
        Apply it for the first time.

        Raises:
            BadDefinition: a line for each flaw; nothing was changed.
            Unreachable, AccessRefused: the store cannot be written.
        """
        self._seen = times(self._folder)
        await self._bring()

    async def watch(self) -> None:
        """Follow changes, until cancelled. Files with a flaw change nothing."""
        while True:
            await self._runtime.sleep(LOOK)
            now = times(self._folder)
            if now == self._seen:
                continue
            try:
                await self._bring()
            except BadDefinition as error:
                _log.error("definitions not changed: a file cannot be used", reason=str(error))
            except (Unreachable, AccessRefused, LostRace) as error:
                _log.warning("definitions not applied; trying again", reason=str(error))
                continue
            self._seen = now

    async def _bring(self) -> None:
        files = read_files([self._folder], self._folder)
        plan = await self._apply.plan(files.documents, self._scope, files.flaws)
        if plan.flaws:
            raise BadDefinition(told(plan.flaws))
        version = await self._apply.apply(plan, _BY)
        if plan.changes:
            _log.info(
                "definitions applied",
                version=version,
                changed=[f"{one.action} {one.key.title}" for one in plan.changes],
            )
        self._tell_kept(plan)

    def _tell_kept(self, plan: Plan) -> None:
        kept = [one.document.key.title for one in plan.kept]
        if kept and kept != self._kept:
            _log.warning(
                "definitions that no file in the folder has any more stay in force",
                kept=kept,
                remedy="remove them with `obverse apply --prune`",
            )
        self._kept = kept
