"""How every benchmark is run, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from obverse.apps.cli.telling import told

if TYPE_CHECKING:
    from obverse.apps.bench.repeated import Measure


def run_bench(measure: Measure, *, as_json: bool, repeat: int = 1) -> None:
    """Run it, so often, and end with 1 if something is amiss with its figures."""
    from obverse.apps.bench.repeated import repeated
    from obverse.apps.bench.report import tell
    from obverse.apps.processes import run as run_process
    from obverse.apps.processes import set_up_logging, until_told_to_stop

    set_up_logging("WARNING")

    async def measured() -> int:
        return tell(await (measure() if repeat == 1 else repeated(measure, repeat)), as_json=as_json)

    raise typer.Exit(told(lambda: run_process(until_told_to_stop(measured()))))
