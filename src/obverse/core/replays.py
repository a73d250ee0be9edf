"""Replays: what is sent again, and to whom; what that would do, and what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

Flow = Literal["unify", "activate", "deliver"]
FLOWS: Final[Sequence[Flow]] = ("unify", "activate", "deliver")
"""In the order in which they are replayed: who acts reads profiles that are mended by then."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the log is sent again, and to whom. Without times and offsets it is the whole log."""

    flows: tuple[Flow, ...]
    connection: str | None = None
    """Of activate, this one alone."""
    campaign: str | None = None
    """Of deliver, this one alone."""
    since: int | None = None
    """When the first record was appended, in microseconds since 1970."""
    until: int | None = None
    """The first instant that is not wanted any more."""
    partition: int | None = None
    """This one alone: of the events for unify, of the changes for the others, which have one."""
    first: int | None = None
    """Offset of the first record in it."""
    before: int | None = None
    """Offset of the first that is not wanted any more."""


class Span(msgspec.Struct, frozen=True):
    """Records of one partition."""

    first: int
    before: int
    """Offset after the last one."""

    @property
    def count(self) -> int:
        """How many there are."""
        return max(0, self.before - self.first)


class UnifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """How people are folded anew, or were."""

    spans: Mapping[int, Span]
    """By partition of the stream of events."""
    people: int = 0
    looked_at: int = 0
    """Fewer than `people` in a plan of very many: those were taken at random, and what follows is of them."""
    changed: int = 0
    traits: Mapping[str, int] = {}
    """By name, how many people's value is otherwise than their history says."""
    attributes: Mapping[str, int] = {}
    entered: Mapping[str, int] = {}
    """By audience, how many people enter it once they are mended; campaigns write to these."""
    left: Mapping[str, int] = {}
    others: int = 0
    """Of how many only something is that nobody reads as a value: consents, groups, what a value is made of."""
    refused: int = 0
    """How many are left as they are, since not all of their events are kept."""
    refused_some: Sequence[str] = ()
    """The first of their ids."""

    @property
    def to_do(self) -> int:
        """How much there is to do, as far as it was looked at."""
        return self.changed + (self.people - self.looked_at)


class CampaignReport(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign's messages."""

    send: int = 0
    """That are put in the outbox."""
    already: Mapping[str, int] = {}
    """That are there, by status."""
    over: int = 0
    """Entries that are true no more: whoever entered has left, or has entered again since."""


class DeliverReport(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages are sent, or were."""

    span: Span
    """Of the stream of changes."""
    campaigns: Mapping[str, CampaignReport] = {}

    @property
    def to_do(self) -> int:
        """How much there is to do."""
        return sum(one.send for one in self.campaigns.values())


class ConnectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One connection's contacts."""

    create: int = 0
    update: int = 0
    fields: Mapping[str, int] = {}
    """Of those to be updated, how many say otherwise in each field."""
    unchanged: int = 0
    without_address: int = 0
    """People who have no contact, since they have no address."""
    woken: int = 0
    """People who were queued to be compared again, and written where they differ."""


class ActivateReport(msgspec.Struct, frozen=True, kw_only=True):
    """Which contacts are written, or were looked at again."""

    span: Span
    """Of the stream of changes."""
    connections: Mapping[str, ConnectionReport] = {}

    @property
    def to_do(self) -> int:
        """How much there is to do."""
        return sum(one.create + one.update for one in self.connections.values())


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay would do, or has done; of flows that it does not go to nothing."""

    unify: UnifyReport | None = None
    activate: ActivateReport | None = None
    deliver: DeliverReport | None = None

    @property
    def to_do(self) -> int:
        """How much there is to do."""
        return sum(one.to_do for one in (self.unify, self.activate, self.deliver) if one is not None)
