"""Changes: what one event did to a profile. A change says that something moved, and carries no value to copy."""

from __future__ import annotations

from typing import Final

import msgspec

ATTRIBUTE: Final = "attribute"
TRAIT: Final = "trait"
ENTERED: Final = "entered"
LEFT: Final = "left"
MERGED: Final = "merged"
UNMERGED: Final = "unmerged"
IDENTIFIER: Final = "identifier"
CONSENT: Final = "consent"
GROUP: Final = "group"


class Change(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """
    One thing that moved on one profile.

    Those of a profile are told in the order in which it moved. Of two that became one, what moved the absorbed one may
    be told after the merge, where they are folded side by side. Whoever acts reads the profile that it is now.

    Its id is (profile, kind, name, number) for audiences and (profile, kind, name, event) for all else, so that
    a change which is seen again after a crash is known again.
    """

    profile: bytes
    kind: str
    name: str
    """
    The attribute, trait or audience; of a merge, the absorbed profile's id; of an unmerge, the other one's; of a new
    identifier, its kind; of a consent, its purpose; of a group that somebody has joined, its id.
    """
    event: str
    """Message id of the event that did it."""
    number: int = 0
    """For an audience: the how-manieth entry of this profile it is."""
