"""A server on loopback that speaks Amazon Kinesis: moto's, in a process of its own, with everything in memory."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from typing import Final

from obverse.sandboxes import SandboxLacking

_PATIENCE: Final = 120.0
"""Seconds within which it must be ready; it takes about one, on a machine that is busy much longer."""


@dataclass(frozen=True, slots=True)
class KinesisSandbox:
    """The server while it runs. It takes any credentials."""

    url: str
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid

    async def close(self) -> None:
        """End it; what it holds is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


async def open_kinesis() -> KinesisSandbox:
    """
    Start a server on a free port of loopback. It ends with the process that started it.

    Raises:
        SandboxLacking: moto is not installed.
        RuntimeError: it does not start.
    """
    if importlib.util.find_spec("moto") is None:
        raise SandboxLacking(
            "the stand-in for Kinesis needs moto, which is not installed here: pip install 'obverse[sandbox-aws]'"
        )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "obverse.sandboxes.kinesis",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - for the types
    async with asyncio.timeout(_PATIENCE):
        port = int(await process.stdout.readline() or b"0")
    if not port:
        raise RuntimeError(f"the stand-in for Kinesis ended with exit code {await process.wait()}")
    return KinesisSandbox(f"http://127.0.0.1:{port}", process)


def _serve() -> None:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - installed with `obverse[sandbox-aws]` alone
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # One request after another: moto gives two records the same number when they are put at once.
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


def _end_with_parent() -> None:
    """Wait until nobody holds the other end of our standard input any more."""
    import threading  # noqa: PLC0415

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    _serve()
