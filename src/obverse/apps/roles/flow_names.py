"""The flows of a worker, by name: for whoever gives them to workers, and runs none."""

from __future__ import annotations

from typing import Final

FLOWS: Final = (
    "identity",
    "keep",
    "keep_rejected",
    "activate",
    "deliver",
    "sql_traits",
    "archive",
    "replaying",
    "retain",
)
"""What a worker does. `identity` and `keep` are the engine's; where one process folds, they are one."""
