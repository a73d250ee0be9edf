"""Where the embedded PostgreSQL keeps its things, and with which owners and modes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import structlog

from obverse.adapters.postgres.server.accounts import Account, can_reach
from obverse.adapters.postgres.server.failure import ServerFailed

log = structlog.get_logger()

SYSTEM_FOLDER = Path("/var/lib/obverse")
"""Root's folder for what the server's user could not reach elsewhere."""

LONGEST_SOCKET_FOLDER = 88
"""In bytes. The whole path of a socket has room for 103 on macOS and 107 on Linux."""

PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@=~-]+")
"""What needs no quotes in a setting of PostgreSQL nor in the address of a database."""

LOCK_SECONDS = 600
"""How long to wait for another starter: it may be recovering a large database."""


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one data folder. All lie in it, save when the server's user cannot go there."""

    data: Path
    """The data folder that a person chose, resolved."""

    home: Path
    """Holds what the server itself opens; the data folder, or a folder of `SYSTEM_FOLDER`."""

    @property
    def cluster(self) -> Path:
        """The database itself."""
        return self.home / "postgres"

    @property
    def logs(self) -> Path:
        """What the server tells."""
        return self.home / "postgres-logs"

    @property
    def secrets(self) -> Path:
        """One password a file, for our eyes only."""
        return self.data / "secrets"

    def sockets(self, uid: int) -> Path:
        """Return the folder for the socket of a server of this user; it must have a short and plain path."""
        near = self.home / "postgres-run"
        if _fits_a_socket(near):
            return near
        name = f"obverse-{uid}-{digest_of(self.data)}"
        away = Path(tempfile.gettempdir()) / name
        return away if _fits_a_socket(away) else Path("/tmp", name)  # noqa: S108 - owner and mode are checked


def digest_of(path: Path) -> str:
    """Return 16 hex digits that stand for a path."""
    return blake2b(os.fsencode(path), digest_size=8).hexdigest()


def places_of(data: Path) -> Places:
    """Return the places of a data folder as they were chosen, or as they would be by default."""
    try:
        return Places(data, data / _note_of(data).read_text().strip())
    except FileNotFoundError:
        return Places(data, data)


async def settle(data: Path, account: Account) -> Places:
    """
    Return the places of a data folder, and choose them for ever if that was not done yet.

    Call it while holding the folder's lock.

    Raises:
        ServerFailed: the note in the data folder leads nowhere, or `SYSTEM_FOLDER` is not safe.
    """
    places = places_of(data)
    if not places.home.is_dir():
        raise ServerFailed(
            f"The database of {data} should be in {places.home}, as {_note_of(data)} says, but that folder is gone. "
            f"Bring it back, or delete {_note_of(data)} to begin with an empty database."
        )
    settled = places.home != data or places.cluster.exists()
    if settled or not account.foreign or await can_reach(account, data):
        return places
    return _settle_elsewhere(data, account)


def make_data_folder(data: Path, account: Account) -> None:
    """
    Make the data folder and the missing ones above it; what exists keeps its mode.

    They are ours alone; made by root for another user, that user's group may pass through.
    """
    missing = [folder for folder in (data, *data.parents) if not folder.exists()]
    for folder in reversed(missing):
        if account.foreign:
            _make_exactly(folder, 0o710, os.geteuid(), account.gid)
        else:
            _make_exactly(folder, 0o700, account.uid, account.gid)


def make_own_folder(folder: Path, account: Account) -> None:
    """
    Make a folder that only the server's user may open, or make sure that it is one.

    Raises:
        ServerFailed: somebody else made it, or it is open to others.
    """
    _make_exactly(folder, 0o700, account.uid, account.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid:
        raise ServerFailed(
            f"{folder} should be a folder of the user {account.name} (uid {account.uid}), "
            f"but it belongs to uid {found.st_uid} or is no folder. Delete it, and start again."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ServerFailed(f"{folder} is open to other users. Close it: chmod 700 {folder}")


@asynccontextmanager
async def sole_starter(data: Path) -> AsyncIterator[None]:
    """
    Hold the lock of a data folder: one at a time starts, adopts or erases its server.

    The kernel takes it back from a starter that dies.

    Raises:
        ServerFailed: another starter holds it for ten minutes, or it is not ours to open.
    """
    path = data / "postgres.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ServerFailed(
            f"Could not open {path} ({error.strerror}). See to the owner and mode of {data}, "
            "or choose a data folder of your own."
        ) from error
    try:
        await _lock(lock, path)
        yield
    finally:
        os.close(lock)


async def _lock(lock: int, path: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() > deadline:
                raise ServerFailed(
                    f"Another obverse has been starting the database for {LOCK_SECONDS} s and still holds {path}. "
                    "End that one, and start again."
                ) from None
            await asyncio.sleep(0.02)
        else:
            return


def make_system_folder() -> Path:
    """
    Make `SYSTEM_FOLDER`, or make sure that only root can change it.

    Raises:
        ServerFailed: somebody else could.
    """
    _make_exactly(SYSTEM_FOLDER, 0o755, 0, 0)
    found = SYSTEM_FOLDER.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022:
        raise ServerFailed(
            f"{SYSTEM_FOLDER} must be a folder that belongs to root and that nobody else can write. "
            f"Mend it: chown root {SYSTEM_FOLDER} && chmod 755 {SYSTEM_FOLDER}"
        )
    return SYSTEM_FOLDER


def remove_note(places: Places) -> None:
    """Forget that the database lies elsewhere, and remove the folder where it lay, empty by now."""
    if places.home != places.data:
        if places.home.is_dir():
            places.home.rmdir()
        _note_of(places.data).unlink(missing_ok=True)


def write_durably(path: Path, text: str) -> None:
    """Write a small file that only we can read, whole or not at all, and through to the disk."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _note_of(data: Path) -> Path:
    return data / "postgres-home"


def _fits_a_socket(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER and PLAIN_PATH.fullmatch(str(folder)) is not None


def _settle_elsewhere(data: Path, account: Account) -> Places:
    # The name has dice in it: were a data folder lost and made anew, then its old database,
    # perhaps still wanted, would be neither found nor overwritten.
    older = [str(path) for path in make_system_folder().glob(f"{digest_of(data)}-*")]
    if older:
        log.warning("older databases of this data folder are kept: delete them if you need them no more", at=older)
    home = SYSTEM_FOLDER / f"{digest_of(data)}-{secrets.token_hex(4)}"
    _make_exactly(home, 0o700, account.uid, account.gid)
    write_durably(_note_of(data), f"{home}\n")
    return Places(data, home)


def _make_exactly(folder: Path, mode: int, uid: int, gid: int) -> None:
    """Make one folder with this mode and owner, whatever the umask; one that exists keeps both."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        # Perhaps we died before we gave it away. No other folder that exists is touched.
        ours = folder.is_dir() and folder.lstat().st_uid == os.geteuid() != uid
        if not ours or any(folder.iterdir()):
            return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
