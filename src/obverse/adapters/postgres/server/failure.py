"""How the embedded PostgreSQL fails: with its own last words, where they lie, and what to do."""

from __future__ import annotations

from pathlib import Path

ADVICE = (
    ("No space left on device", "The disk is full: free some space and start again."),
    ("Disk quota exceeded", "The quota of this disk is used up: free some space and start again."),
    ("Read-only file system", "The disk is mounted read-only: choose a data folder that can be written."),
    ("could not look up effective user", "This user has no line in the passwd file: run as a user that has one."),
    ("cannot be run as root", "PostgreSQL refuses root: run as an ordinary user."),
    ("wrong ownership", "The folder belongs to another user: run as its owner, or give it to this one."),
    ("invalid permissions", "The folder is open to others: give it mode 0700."),
    ("Permission denied", "The server's user may not go there: see to the owner and mode of each folder on the way."),
    ("still in use", "A process of the old server lives on: end it, and start again."),
    ("lock file", "Another program holds this database: end it, and start again."),
    ("could not resize shared memory", "Shared memory is too small (in a container: give it --shm-size=256m)."),
    ("Cannot allocate memory", "The machine has too little free memory: the server needs about 200 MB."),
    ("Not a directory", "That is a file: choose another data folder."),
    ("Operation not permitted", "Folders could not be given to the server's user: choose a disk that knows owners."),
    ("unrecognized configuration", "Take that line out of postgresql.conf or postgresql.auto.conf of the database."),
    ("invalid checkpoint record", "The database is damaged: restore the data folder from a backup."),
    ("could not locate a valid checkpoint", "The database is damaged: restore the data folder from a backup."),
)
"""What to do about a line of PostgreSQL's log; the first that fits is told."""

LAST_LINES = 12


class ServerFailed(Exception):
    """The embedded PostgreSQL cannot serve; the message says what is wrong, where, and what to do."""


def server_failed(what: str, *, told: str, log: Path | None = None) -> ServerFailed:
    """
    Put `what` together with the last lines that were told of it, the advice that fits them, and the log's place.

    >>> print(server_failed("It died.", told="FATAL: No space left on device", log=Path("/x/logs")))
    It died. The disk is full: free some space and start again.
      FATAL: No space left on device
    The whole log is in /x/logs
    """
    advice = next((f" {advice}" for sign, advice in ADVICE if sign in told), "")
    lines = [f"  {line}" for line in told.splitlines() if line.strip()][-LAST_LINES:]
    where = [f"The whole log is in {log}"] if log is not None else []
    return ServerFailed("\n".join([what + advice, *lines, *where]))
