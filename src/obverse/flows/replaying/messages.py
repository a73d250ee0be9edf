"""Replay to deliver: the messages that today's campaigns want for entries of then, but for those that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from obverse.core import changes
from obverse.core.changes import Change
from obverse.core.definitions import Definitions
from obverse.core.history import related
from obverse.core.messages import Message, campaign_message
from obverse.core.outgoing import Campaign, Template
from obverse.core.profiles import Profile
from obverse.core.profiles.parts import OUTSIDE
from obverse.core.replays import CampaignReport, DeliverReport, Span, Wanted
from obverse.flows.current_profiles import CurrentProfiles
from obverse.flows.following import changes_between
from obverse.flows.ranges import spans_of
from obverse.flows.replaying.steps import AT_ONCE, CannotReplay, Tell
from obverse.ports.event_log import EventLog, Stream
from obverse.ports.outbox import Outbox
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime

Put = Callable[[Sequence[Message]], Awaitable[None]]

_Entry = tuple[str, bytes, int]
"""Campaign, who holds the person now, number of the entry."""


@dataclass(slots=True)
class _Count:
    """What was found of one campaign."""

    send: int = 0
    already: Counter[str] = field(default_factory=Counter)
    over: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesAgain:
    """
    Finds what campaigns want for the entries of a part of the changes.

    An entry counts while it is true: its person is in the audience, and has not entered it again since. One person
    gets one message of a campaign for it, whoever they were when they entered.
    """

    log: EventLog
    outbox: Outbox
    store: ProfileStore
    profiles: CurrentProfiles
    put: Put
    definitions: Callable[[], Definitions]
    runtime: Runtime

    async def plan(self, wanted: Wanted, tell: Tell) -> DeliverReport:
        """
        Say what would be sent.

        Raises:
            BadRange, UnknownMark: as `spans_of`.
            CannotReplay: there is no such campaign.
            Unreachable: the log, the outbox or the store cannot be read now.
        """
        span = (await spans_of(self.log, Stream.CHANGES, wanted))[0]
        # What the flow itself has not followed yet it sends by itself, and under other keys where people merged since.
        until = max(span.first, min(span.before, await self.outbox.mark()))
        return await self._go_through(wanted, Span(span.first, until), tell, None)

    async def run(self, wanted: Wanted, span: Span, tell: Tell) -> DeliverReport:
        """
        Put what is missing in the outbox, whose keys see to it that nothing is there twice.

        Raises:
            CannotReplay, Unreachable: as `plan`.
        """
        return await self._go_through(wanted, span, tell, self.put)

    async def _go_through(self, wanted: Wanted, span: Span, tell: Tell, put: Put | None) -> DeliverReport:
        definitions = self.definitions()
        campaigns = self._campaigns(wanted, definitions)
        templates = {one.name: one for one in definitions.templates}
        counts = {one.name: _Count() for one in campaigns}
        seen = set[_Entry]()
        words = {one.audience for one in campaigns}
        if words:
            async for at, moved in changes_between(self.log, span, words):
                entered = [one for one in moved if one.kind == changes.ENTERED and one.name in words]
                for first in range(0, len(entered), AT_ONCE):
                    some = entered[first : first + AT_ONCE]
                    messages = await self._missing(some, campaigns, templates, counts, seen)
                    if put is not None and messages:
                        await put(messages)
                await tell(at - span.first)
        return DeliverReport(
            span=span,
            campaigns={
                name: CampaignReport(send=one.send, already=dict(one.already.most_common()), over=one.over)
                for name, one in counts.items()
            },
        )

    @staticmethod
    def _campaigns(wanted: Wanted, definitions: Definitions) -> Sequence[Campaign]:
        if wanted.campaign is None:
            return definitions.campaigns
        found = [one for one in definitions.campaigns if one.name == wanted.campaign]
        if not found:
            known = ", ".join(sorted(one.name for one in definitions.campaigns)) or "none"
            raise CannotReplay(f"no campaign {wanted.campaign!r} is defined (defined: {known})")
        return found

    async def _missing(
        self,
        entered: Sequence[Change],
        campaigns: Sequence[Campaign],
        templates: Mapping[str, Template],
        counts: Mapping[str, _Count],
        seen: set[_Entry],
    ) -> list[Message]:
        """The messages for these entries that are not in the outbox."""
        people = await self.profiles.get({one.profile for one in entered})
        candidates: dict[_Entry, dict[bytes, Message]] = {}
        """By entry, its message under each id by which it was told; who holds the person now comes first."""
        holders: dict[_Entry, Profile] = {}
        now = self.runtime.now()
        for change in entered:
            holder = people.get(change.profile)
            standing = OUTSIDE if holder is None else holder.audiences.get(change.name, OUTSIDE)
            for campaign in campaigns:
                if campaign.audience != change.name:
                    continue
                if holder is None or not standing.member or standing.number != change.number:
                    counts[campaign.name].over += 1
                    continue
                entry = campaign.name, holder.id, change.number
                template = templates[campaign.template]
                message = campaign_message(campaign.name, template, change.profile, change.number, now=now)
                mine, holders[entry] = candidates.setdefault(entry, {}), holder
                if change.profile == holder.id:
                    candidates[entry] = {holder.id: message, **mine}
                else:
                    mine.setdefault(change.profile, message)
        fresh = {entry: told for entry, told in candidates.items() if entry not in seen}
        seen.update(fresh)
        return await self._not_there(fresh, holders, counts)

    async def _not_there(
        self,
        candidates: Mapping[_Entry, Mapping[bytes, Message]],
        holders: Mapping[_Entry, Profile],
        counts: Mapping[str, _Count],
    ) -> list[Message]:
        ids = [one.id for told in candidates.values() for one in told.values()]
        statuses = await self.outbox.statuses(ids) if ids else {}
        missing, known = list[Message](), list[str]()
        for entry, told in candidates.items():
            known = [statuses[one.id] for one in told.values() if one.id in statuses]
            if not known:
                known = await self._known_as_another(entry, holders[entry], next(iter(told.values())))
            if known:
                counts[entry[0]].already[known[0]] += 1
            else:
                counts[entry[0]].send += 1
                missing.append(next(iter(told.values())))
        return missing

    async def _known_as_another(self, entry: _Entry, holder: Profile, message: Message) -> list[str]:
        """How the message of this entry stands that a person got while they were another profile."""
        campaign, _, number = entry
        if not holder.merges and message.profile == holder.id:
            return []
        decisions = [one.decision for one in await self.store.decisions_of(holder.id)]
        template = next(one for one in self.definitions().templates if one.name == message.template)
        others = sorted(related(holder.id, decisions))
        asked = [campaign_message(campaign, template, one, number, now=0).id for one in others]
        return [*(await self.outbox.statuses(asked)).values()]
