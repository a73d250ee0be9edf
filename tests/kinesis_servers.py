"""Servers that speak Kinesis, for tests: moto's and kinesalite, which know nothing of each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodejs import node

TESTS = Path(__file__).parent

KINESALITE = """
const server = require('kinesalite')({ createStreamMs: 1, updateStreamMs: 1, deleteStreamMs: 1, shardLimit: 1000 });
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
"""


@contextmanager
def moto() -> Iterator[str]:
    """Serve, as the demo does; the address."""
    with _served([sys.executable, "-m", "obverse.sandboxes.kinesis"]) as url:
        yield url


@contextmanager
def kinesalite() -> Iterator[str]:
    """Serve; where its package could not be installed its tests are skipped, but not in CI."""
    if not (TESTS / "node_modules" / "kinesalite").exists() and os.environ.get("CI") != "true":
        pytest.skip("kinesalite is not installed: `make tests/node_modules/ready`")
    with _served([node(), "-e", KINESALITE]) as url:
        yield url


@contextmanager
def _served(command: Sequence[str]) -> Iterator[str]:
    with subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
