"""History: profiles as of a time, compared between two, and attributes restored to what they said."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from obverse.core import profiles, times
from obverse.core.definitions import Definitions
from obverse.core.history import PastPeople, apart, related
from obverse.core.identity import Decision, id_name, id_named, id_text
from obverse.core.profiles import Profile
from obverse.flows.history_views import ComparisonView, RestorationView, compared
from obverse.flows.restoring import Restoration, restoration
from obverse.flows.serve import Found, ReadFrom, Serve, UnreadableProfile
from obverse.flows.views import PastView, view_profile
from obverse.ports.outcomes import Unreachable
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime

PAGE: Final = 500
"""Events that are folded before others get their turn."""
SOON: Final = 2.0
"""Seconds after which the newest events are usually in the store."""


class BadTime(ValueError):
    """A time that cannot be asked for; the message says why, and what to ask for."""


class NotThere(LookupError):
    """Nobody was there at that time; the message says so, the remedy what to ask for."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class NotWhole(Exception):
    """What attributes said then is not known of this person; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class _Story:
    """One person's, and of all who are or were one with them."""

    name: str
    current: Profile
    decisions: Sequence[Decision]
    ids: Collection[bytes]
    complete: bool
    since: int | None
    """Arrival of the first event that is kept."""
    kept_to: int | None
    """Up to this arrival everything is in the store; None: everything is."""

    @property
    def kept_from(self) -> str | None:
        return None if self.complete or self.since is None else times.to_text(self.since)


class History:
    """
    Tells the past of profiles by arrival: what was known at a time.

    From the last event that changed a profile on it is as it is now. Before, it is folded anew from what the store
    keeps, with the definitions of now.
    """

    def __init__(
        self, store: ProfileStore, serve: Serve, definitions: Callable[[], Definitions], runtime: Runtime
    ) -> None:
        self._store = store
        self._serve = serve
        self._definitions = definitions
        self._runtime = runtime

    async def profile(self, name: str, at: int) -> Found | None:
        """
        Return who had an identifier (`parse_identifier`) at a time; None if nobody has it now.

        `at` is in microseconds since 1970.

        Raises:
            BadTime: it is to come.
            NotThere: nobody had it then.
            Unreachable: the store cannot be read, or events of that time are on their way into it. So do all below.
            AccessRefused, UnreadableProfile: as `Serve.find`. So do all below.
        """
        self._check(at)
        definitions = self._definitions()
        found = await self._serve.read(name, definitions)
        if found is None:
            return None
        current, read_from = found
        if at >= current.now:
            profiles.advance(current, at, definitions)
            past = PastView(
                as_of=times.to_text(at),
                complete=True,
                kept_from=None,
                known_from=_known_from(current, await self._decisions(current)),
                now=id_text(current.id),
                merged=[],
            )
            return Found(structs.replace(view_profile(current, definitions), past=past), read_from)
        story, people, one = await self._who(name, found, at)
        if one is None:
            raise _not_there(story, people)
        now = PastPeople(times.LATEST, story.decisions, self._definitions())
        past = PastView(
            as_of=times.to_text(at),
            complete=story.complete,
            kept_from=story.kept_from,
            known_from=_known_from(current, story.decisions),
            now=id_text(now.keeper(one.id)),
            merged=[id_text(other) for other in apart(people, now, one)],
        )
        return Found(structs.replace(view_profile(one, self._definitions()), past=past), "store")

    async def _who(
        self, name: str, found: tuple[Profile, ReadFrom], at: int
    ) -> tuple[_Story, PastPeople, Profile | None]:
        """Find who had a name at a time, beginning with who has it now; it may have been taken from somebody since."""
        ahead, seen = [found], set[bytes]()
        tried: list[tuple[_Story, PastPeople]] = []
        while ahead:
            story = await self._story(name, *ahead.pop())
            (people,) = await self._people(story, at)
            tried.append((story, people))
            one = people.find(name)
            if one is not None and one.id in story.ids:
                return story, people, one
            seen.update(story.ids)
            # Of others the story tells no more than what moved these beside them.
            others = (other for each in story.decisions if name in each.identifiers for other in each.beside)
            for other in dict.fromkeys(others if one is None else [one.id]):
                former = None if other in seen else await self._serve.read(id_name(other))
                if former is not None:
                    ahead.append(former)
        return *tried[0], None

    async def compare(self, name: str, began: int, to: int) -> ComparisonView | None:
        """
        Return what is different of a profile at two times; None if nobody has the identifier now.

        Each is the one that had it at its time, as `profile` tells; if nobody had it at the earlier one, who became
        the one of the later time.

        Raises:
            BadTime: a time is to come, or the first is not before the other.
            NotThere: nobody had it at the later time.
        """
        self._check(to)
        if began > to:
            raise BadTime(f"from {times.to_text(began)} is after to {times.to_text(to)}: give the earlier time as from")
        found = await self._serve.read(name)
        if found is None:
            return None
        current, read_from = found
        story = await self._story(name, current, read_from)
        newest = to >= current.now and story.kept_to is not None
        if newest:
            profiles.advance(current, to, self._definitions())
        before, after = await self._people(story, began, began if newest else to)
        late = current if newest else after.find(name)
        if late is None:
            raise _not_there(story, after)
        early = before.find(name) or before.find(id_name(late.id))
        now = PastPeople(to, story.decisions, self._definitions())
        return ComparisonView(
            began=times.to_text(began),
            to=times.to_text(to),
            merged=[] if early is None else [id_text(other) for other in apart(before, now, early)],
            complete=story.complete,
            kept_from=story.kept_from,
            **compared(early, late, self._definitions()),
        )

    async def restore(
        self, name: str, at: int, attributes: Collection[str] | None = None, *, preview: bool = False
    ) -> RestorationView | None:
        """
        Have attributes say what they said at a time, all of them or those named; None if nobody has the identifier.

        Their values of then are written anew by an event of its own, which the collector appends. A preview tells
        what would be written.

        Raises:
            BadTime, NotThere: as `profile`.
            NotWhole: what they said is not known.
            UnknownAttribute: no such attribute is or was told.
            Unnameable: no event can name the profile.
        """
        self._check(at)
        found = await self._serve.read(name)
        if found is None:
            return None
        current, read_from = found
        then = current if at >= current.changed_at else await self._whole(name, current, read_from, at)
        planned = restoration(then, current, at, attributes, now=self._runtime.now(), definitions=self._definitions())
        return await self._carry_out(planned, at, preview=preview)

    async def _whole(self, name: str, current: Profile, read_from: ReadFrom, at: int) -> Profile:
        """Return who had the name, if all that had come by then is known."""
        story = await self._story(name, current, read_from)
        if not story.complete:
            raise NotWhole(
                f"the oldest events of this person are let go, and what came before {story.kept_from} is not known, so "
                "nothing can be restored: send an identify with the values that you want"
            )
        (people,) = await self._people(story, at)
        then = people.find(name)
        if then is None:
            raise _not_there(story, people)
        concerned = {then.id, current.id}
        since = (one for one in story.decisions if one.parts and one.received_at > at)
        if any(not concerned.isdisjoint({one.profile, *one.related}) for one in since):
            raise NotWhole(
                "this profile was one with another then, from which it was parted since, and attributes of then are of "
                "both: send an identify with the values that are this person's"
            )
        return then

    async def _carry_out(self, planned: Restoration, at: int, *, preview: bool) -> RestorationView:
        event = planned.event
        if event is not None and not preview:
            await self._store.ask_event(event)
        return RestorationView(
            profile=id_text(planned.profile),
            as_of=times.to_text(at),
            attributes=planned.attributes,
            left_out=planned.left_out,
            event=None if event is None else event.message_id,
            asked=event is not None and not preview,
        )

    def _check(self, at: int) -> None:
        now = self._runtime.now()
        if at > now:
            raise BadTime(f"{times.to_text(at)} is to come: it is {times.to_text(now)}; ask for a time before")

    async def _story(self, name: str, current: Profile, read_from: ReadFrom) -> _Story:
        """Learn what is kept of a person, before any of it is folded."""
        kept_to = None
        if read_from == "cache":
            # First how far the store is, then the decisions: so none is missing of what is there by then.
            kept = [self._unpacked(one) for one in await self._store.load((), (current.id,))]
            if not kept or kept[0].events != current.events:
                kept_to = kept[0].changed_at if kept else times.EARLIEST
        decisions = await self._decisions(current)
        ids = related(current.id, decisions)
        remains = await self._store.remains(ids)
        counted = sum(self._unpacked(one).events for one in remains.people)
        return _Story(
            name=name,
            current=current,
            decisions=decisions,
            ids=ids,
            complete=remains.events >= counted,
            since=remains.since,
            kept_to=kept_to,
        )

    async def _decisions(self, current: Profile) -> Sequence[Decision]:
        return [one.decision for one in await self._store.decisions_of(current.id)]

    async def _people(self, story: _Story, *at: int) -> Sequence[PastPeople]:
        """
        Fold a story up to each of some times.

        Raises:
            Unreachable: not all that had come by then is in the store yet.
        """
        if story.kept_to is not None and max(at) >= story.kept_to:
            raise Unreachable(
                "the newest events of this profile are on their way into the store: ask for an earlier time, or again "
                "in some seconds",
                after=SOON,
            )
        people = [PastPeople(one, story.decisions, self._definitions()) for one in at]
        after = 0
        while True:
            page = await self._store.past_events(story.ids, until=max(at), limit=PAGE, after=after)
            for event in page:
                for one in people:
                    one.tell(event)
            if len(page) < PAGE:
                for one in people:
                    one.settle()
                return people
            after = page[-1].id
            await self._runtime.sleep(0)

    def _unpacked(self, packed: bytes) -> Profile:
        try:
            return profiles.unpack(packed, self._definitions())
        except ValueError as error:
            raise UnreadableProfile(str(error)) from error


def _known_from(current: Profile, decisions: Sequence[Decision]) -> str:
    return times.to_text(min((one.received_at for one in decisions), default=current.changed_at))


def _not_there(story: _Story, then: PastPeople) -> NotThere:
    """Say that nobody had the name then, who was there in their place, and since when somebody has it."""
    one, at = id_named(story.name), times.to_text(then.at)
    came = [
        each.received_at
        for each in story.decisions
        if (story.name in each.identifiers if one is None else each.profile == one)
    ]
    remedy = f"ask for a time from {times.to_text(min(came))} on" if came else "ask for a later time"
    now = PastPeople(times.LATEST, story.decisions, then.definitions)
    others = [id_name(other) for other in sorted(then.profiles) if now.keeper(other) == story.current.id]
    if others:
        remedy += f", or for who was there then and is one with it now: {', '.join(others[:5])}"
    return NotThere(f"{story.name} was nobody yet at {at}", remedy)
