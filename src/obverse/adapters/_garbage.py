"""How often Python looks for circles of objects in a process that folds or serves."""

from __future__ import annotations

import gc


def look_seldom() -> None:
    """
    Have the collector look at what is young often, and at what is old hardly ever.

    Most of what is made lives as long as its batch; looking for circles often costs more than it finds. But what is
    looked through at once has to be little: everything that a worker makes in a minute took 1.3 s, in which it did
    nothing else. What is old is hardly ever looked through: nearly all of it are profiles, which make no circles.
    """
    gc.set_threshold(10_000, 1, 1_000_000)
