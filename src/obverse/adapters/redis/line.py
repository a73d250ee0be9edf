"""One connection to Redis: made when it is first needed, and again after it was lost."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final

from hiredis import pack_command
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from obverse.adapters.redis.scripts import Script
from obverse.adapters.redis.settings import RedisCacheSettings
from obverse.ports.outcomes import AccessRefused, Unreachable

_RUN: Final = re.compile(rb"^run_id:([0-9a-f]+)\r?$", re.MULTILINE)
_REFUSALS: Final = (AuthenticationError, NoPermissionError)


class Line:
    """Runs scripts, one after another."""

    def __init__(self, settings: RedisCacheSettings) -> None:
        self._connection: Any = settings.connection()
        self._place = settings.place
        self._turn = asyncio.Lock()
        self._run = b""
        """Of the server that we are connected to, as it calls it; another one after each of its starts."""

    async def run(self, script: Script, key: bytes, arguments: Sequence[bytes], patience: float) -> Any:
        """
        Run a script with one key; before its arguments comes the run of the server.

        Raises:
            Unreachable: no answer within so many seconds, or none that helps. It may have been run or not.
            AccessRefused: wrong password, or missing rights.
        """
        try:
            async with asyncio.timeout(patience), self._turn:
                return await self._asked(script, key, arguments)
        except TimeoutError as error:
            raise Unreachable(f"no answer from {self._place} in time: is Redis overloaded, or this machine?") from error
        except (RedisError, OSError) as error:
            # The library wraps what was said while it connected.
            if any(isinstance(one, _REFUSALS) for one in (error, error.__cause__)):
                raise self._refused(error) from error
            if isinstance(error, ResponseError):
                raise Unreachable(f"{self._place} answers: {error}") from error
            raise Unreachable(
                f"nobody answers as Redis at {self._place} ({error}): is it running? Is TLS on at both ends or at none?"
            ) from error

    def _refused(self, error: Exception) -> AccessRefused:
        return AccessRefused(
            f"{self._place} refuses us ({error}): correct the user and the password in REDIS_URL or "
            "[profile_cache.redis]; the user needs the commands EVALSHA, SCRIPT LOAD, INFO, GET, SET, MGET, MSET, DEL, "
            "PEXPIRE and TIME, those of @connection, and the keys that begin with the prefix"
        )

    async def _asked(self, script: Script, key: bytes, arguments: Sequence[bytes]) -> Any:
        connection = self._connection
        try:
            if not connection.is_connected or await connection.can_read():
                # What can be read now is the end, or what nobody asked for.
                await self._connect()
            try:
                return await self._call("EVALSHA", script.sha, 1, key, self._run, *arguments)
            except NoScriptError:
                await self._call("SCRIPT", "LOAD", script.text)
                return await self._call("EVALSHA", script.sha, 1, key, self._run, *arguments)
        except ResponseError:
            raise
        except BaseException:
            # An answer may still be on its way, and would be taken for that of the next question.
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)
            raise

    async def _connect(self) -> None:
        connection = self._connection
        await connection.disconnect(nowait=True)
        await connection.connect()
        try:
            self._run = _run_in(await self._call("INFO", "server"))
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def _call(self, *words: Any) -> Any:
        await self._connection.send_packed_command(pack_command(words), check_health=False)
        return await self._connection.read_response(disable_decoding=True)

    async def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)


def _run_in(info: bytes) -> bytes:
    found = _RUN.search(info)
    if found is None:
        raise ResponseError("INFO tells no run_id, without which an old state cannot be told from a new one")
    return found[1]
