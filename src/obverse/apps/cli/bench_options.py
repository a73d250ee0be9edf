"""Options that several benchmarks have."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Batch = Annotated[int, typer.Option(min=1, max=2500, help="Events a request.")]
People = Annotated[
    int,
    typer.Option(
        min=1,
        help="How many are known before the clock starts, made known through the road itself. "
        "The road's aims are of a million, --people 1000000, which takes minutes beforehand (people_known_in_s tells).",
    ),
]
Who = Annotated[
    Literal["sessions", "zipf", "uniform"],
    typer.Option(
        help="Who of them act: sessions (each 25 events a minute for 5 minutes, then another takes over; at 50,000 "
        "events a second 120,000 at once. At most half of the known are active: where more would be needed, each is "
        "done the sooner), zipf (the k-th is k times as rare as the first), uniform (all alike)."
    ),
]
Repeat = Annotated[
    int,
    typer.Option(min=1, help="How often it is run, each time anew; tells median, min and max beside the runs."),
]
