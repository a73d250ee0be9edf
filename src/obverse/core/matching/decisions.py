"""What a decision upon a pair of profiles remembers."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a proposal stands."""

    OPEN = "open"
    """It waits for a person."""
    ACCEPTED = "accepted"
    """A person had the two merged."""
    REJECTED = "rejected"
    """A person said that they are two."""
    MERGED = "merged"
    """It was of the tier `exact`, and they were merged without a person."""
    CLOSED = "closed"
    """Nobody has to decide any more: the two have become one, or match no more."""


def reopens(state: State, decided_upon: bytes, basis: bytes) -> bool:
    """
    Whether a pair is proposed again that matches again, given what it was decided upon and what is known now.

    What was accepted, or merged, is being done. What was rejected stays so until one of the values that were compared
    is another. What closed by itself was never decided.
    """
    match state:
        case State.OPEN | State.CLOSED:
            return True
        case State.REJECTED:
            return decided_upon != basis
        case State.ACCEPTED | State.MERGED:
            return False
