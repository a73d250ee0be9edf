"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="Folder of the database, secrets and definitions.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON line, the last on stdout.")]
Partitions = Annotated[int | None, typer.Option(min=1, max=1024, help="Partitions of the stream of events.")]
