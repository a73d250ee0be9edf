"""Which messages changes call for, and whom they may have brought an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from obverse.core import changes
from obverse.core.changes import Change
from obverse.core.definitions import Definitions
from obverse.core.messages import Message, campaign_message
from obverse.core.outgoing import Campaign


def woken_by(moved: Sequence[Change]) -> set[bytes]:
    """Who may have an address, now that this has moved; and whoever was merged away is found under their keeper."""
    keepers = {one.profile for one in moved if (one.kind, one.name) in _ADDRESSED or one.kind == changes.MERGED}
    return keepers | {bytes.fromhex(one.name) for one in moved if one.kind == changes.MERGED}


_ADDRESSED: Final = {(changes.ATTRIBUTE, "email"), (changes.IDENTIFIER, "email")}
ANYTIME: Final = frozenset({changes.MERGED, "email"})
"""What stands in a change that may bring somebody an address."""


def wanted_by(moved: Sequence[Change], definitions: Definitions, now: int) -> list[Message]:
    """The messages that campaigns want, now that this has moved."""
    templates = {one.name: one for one in definitions.templates}
    by_audience: dict[str, list[Campaign]] = {}
    for campaign in definitions.campaigns:
        by_audience.setdefault(campaign.audience, []).append(campaign)
    wanted = {
        message.id: message
        for change in moved
        if change.kind == changes.ENTERED
        for one in by_audience.get(change.name, ())
        for message in (campaign_message(one.name, templates[one.template], change.profile, change.number, now=now),)
    }
    return list(wanted.values())
