"""Definitions on their way: computed from history for everybody, while events go on being routed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Sequence
from contextlib import aclosing
from typing import Final

import structlog

from obverse.adapters._buckets.histories import Elsewhere, NotComputed, Person, Wanted, from_store, places_of
from obverse.adapters._buckets.items import Fill, Follow, bucket_of
from obverse.adapters._buckets.routing import Routing
from obverse.core import profiles
from obverse.core.definitions import Definitions, arriving
from obverse.core.profiles import Profile
from obverse.ports.backfills import Backfill, Phase
from obverse.ports.engine import Arriving
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import Unreachable

LOOK: Final = 0.25
"""Seconds between two looks at whether definitions have changed."""
_LOOK_AT_STORE: Final = 0.05
_MOST_PAGES: Final = 100
"""Pages that are routed and not in the store yet, beyond which no more are computed."""
_log = structlog.get_logger(__name__)


class Filling:
    """
    Has buckets fold what is on its way beside, gives them everybody's history, and has everybody follow in the end.

    From `Backfill.marks` on buckets fold it as events come. What was before is read from the store, page by page of
    people; a bucket joins the two (`items.Fill`), unless somebody has become one with another meanwhile: those are
    noted here, and their history is read once the store has what ties them. Where histories are computed elsewhere,
    what comes from there is given first, and the pages pass over whom it has filled. A router that takes over begins
    anew with the pages, and whoever is filled by then is passed over.
    """

    def __init__(self, router: Routing, page: int, elsewhere: Elsewhere | None) -> None:
        """`page`: people who are looked at together; `elsewhere`: who computes histories, if not we do."""
        self._router = router
        self._page = page
        self._elsewhere = elsewhere
        self._parts = router.parts
        self._coming: Arriving | None = None
        """What buckets fold beside, or are about to."""
        self._noted: dict[bytes, int] | None = None
        """
        Who may lack history once the pages are done, and how far the store has to be to tell of it; None while nobody
        has to be noted.
        """
        self._notes_all = False
        """Whether anybody who was merged may; else only those who are merged with one of the noted."""

    @property
    def is_beside(self) -> bool:
        """Whether buckets fold beside what everybody sees what is on its way."""
        return self._coming is not None

    def folding(self) -> Definitions:
        """What buckets fold with."""
        now, coming = self._parts.definitions(), self._coming
        if coming is None:
            return now
        return arriving.folding(now, arriving.fresh(coming.definitions, now), coming.version)

    def note(self, ids: Iterable[bytes]) -> None:
        """Note that these become one, or are parted, by what is routed next; the first of them stays."""
        noted = self._noted
        theirs = list(ids)
        if noted is not None and (self._notes_all or any(one in noted for one in theirs)):
            noted.update(dict.fromkeys(theirs, self._router.place.routed + 1))

    async def resume(self) -> None:
        """
        Learn where the last run stood, before anything is routed.

        Raises:
            Unreachable: the store cannot be read, or what was computed cannot be made live.
        """
        known, coming = await self._parts.store.backfill(), self._parts.arriving()
        if known is None or coming is None or known.version != coming.version:
            return
        if known.phase is Phase.FILLING:
            self._begin(coming)
        else:
            await self._parts.arrived(coming.version)

    async def run(self) -> None:
        """
        Compute what is on its way, for ever.

        Raises:
            Unreachable: the log or the store failed while something was done.
        """
        known = await self._parts.store.backfill()
        if known is not None and known.phase is Phase.TURNING:
            await self._follow(known)
        while True:
            try:
                coming = self._parts.arriving()
            except Unreachable:
                coming = None  # whoever routes will say so
            if coming is not None and self._parts.obstacle() is None:
                await self._bring_in(coming)
            await self._parts.runtime.sleep(LOOK)

    def _begin(self, coming: Arriving) -> None:
        self._coming, self._noted, self._notes_all = coming, {}, True

    async def _bring_in(self, coming: Arriving) -> None:
        known = await self._parts.store.backfill()
        if known is None or known.version != coming.version:
            known = await self._start(coming)
        fresh = arriving.fresh(coming.definitions, self._parts.definitions())
        if fresh:
            # Then it has all that was before the marks, and all that was merged before this run.
            await self._until_stored(self._router.wanted)
            alone = arriving.only(fresh, coming.definitions)
            if self._elsewhere is not None:
                await self._fill_from(self._elsewhere, known, alone)
            await self._fill(known, alone)
        await self._follow(await self._go_live(known))

    async def _start(self, coming: Arriving) -> Backfill:
        router = self._router
        # Kept if this fails: nothing may be routed over what was half begun; the next router goes on with it.
        await router.turn.acquire()
        changed = {one.name for one in arriving.changed(coming.definitions, self._parts.definitions())}
        known = Backfill(coming.version, dict(router.place.events), Phase.FILLING, sorted(changed))
        await self._parts.store.note_backfill(known)
        self._begin(coming)
        await router.append(router.defined())
        router.turn.release()
        _log.info("definitions are computed from history", version=coming.version, traits=list(known.names))
        return known

    async def _fill_from(self, elsewhere: Elsewhere, known: Backfill, alone: Definitions) -> None:
        """Have those be filled, in the store too, whose history can be had from elsewhere."""
        kept = {part: first for part, (first, _) in (await self._parts.log.bounds(Stream.EVENTS)).items()}
        wanted, ahead = Wanted(known.version, self._parts.documents(True), kept), deque[int]()  # noqa: FBT003 - as the port has it
        try:
            async with aclosing(elsewhere.compute(wanted, self._lacking(known, alone))) as given:
                async for some in given:
                    await self._give([Fill(one.profile, known.version, *one[1:]) for one in some])
                    await self._make_room(ahead)
        except NotComputed as error:
            _log.warning("histories are read from the store", reason=str(error))
        await self._until_stored(self._router.wanted)

    async def _lacking(self, known: Backfill, alone: Definitions) -> AsyncGenerator[Person]:
        """Everybody who lacks history and has any; whoever has none is filled with nothing."""
        async for ids in self._everybody():
            lacking = await self._who_lack(ids, known)
            places = await places_of(self._parts.store, lacking, known.marks, alone)
            await self._give(
                [Fill(one.id, known.version, one.merges, one.since, {}) for one in lacking if not places.get(one.id)]
            )
            for one in lacking:
                if places.get(one.id):
                    yield Person(one.id, one.merges, one.since, places[one.id])

    async def _fill(self, known: Backfill, alone: Definitions) -> None:
        """Have everybody be filled, in the store too."""
        ahead: deque[int] = deque()
        async for ids in self._everybody():
            await self._fill_some(ids, known, alone)
            await self._make_room(ahead)
        # From here on nobody comes to lack anything but by one of those who do.
        self._notes_all = False
        noted = self._noted or {}
        await self._until_stored(self._router.wanted)
        while noted:
            await self._until_stored(self._router.wanted)
            kept = await self._stored()
            ready = {one: at for one, at in noted.items() if at <= kept}
            for at in range(0, len(ready), self._page):
                some = list(ready)[at : at + self._page]
                lacking = await self._fill_some(some, known, alone)
                for one in some:
                    if noted[one] == ready[one]:  # else something has happened to them since
                        if one in lacking:
                            noted[one] = self._router.place.routed
                        else:
                            del noted[one]

    async def _fill_some(self, ids: Collection[bytes], known: Backfill, alone: Definitions) -> Collection[bytes]:
        """Give buckets the history of those of these who lack it, as far as the store knows; return who these are."""
        lacking = await self._who_lack(ids, known)
        histories = await from_store(self._parts.store, lacking, known.marks, alone)
        await self._give([Fill(one.id, known.version, one.merges, one.since, histories[one.id]) for one in lacking])
        return {one.id for one in lacking}

    async def _who_lack(self, ids: Collection[bytes], known: Backfill) -> Sequence[Profile]:
        """Those of these who lack history, as far as the store knows; their traits are left out."""
        some = [profiles.unpack(packed, Definitions()) for packed in await self._parts.store.load((), ids)]
        return [one for one in some if one.filled != known.version]

    async def _give(self, histories: Sequence[Fill]) -> None:
        buckets = self._router.buckets
        async with self._router.turn:
            await self._router.append([(bucket_of(one.profile, buckets), one) for one in histories])

    async def _go_live(self, known: Backfill) -> Backfill:
        """Have everybody see it, and buckets fold with it alone."""
        router = self._router
        turning = Backfill(known.version, known.marks, Phase.TURNING, known.names)
        await self._parts.store.note_backfill(turning)
        await self._parts.announce(known.version)
        await router.turn.acquire()  # kept if this fails, as in `_start`
        await self._parts.arrived(known.version)
        self._coming = None
        router.define(self._parts.definitions())
        await router.append(router.defined())
        router.turn.release()
        _log.info("definitions are live", version=known.version)
        return turning

    async def _follow(self, known: Backfill) -> None:
        """Have everybody follow what is seen since it went live."""
        self._noted, self._notes_all = {}, True
        await self._until_stored(self._router.wanted)
        ahead: deque[int] = deque()
        async for ids in self._everybody():
            await self._follow_some(ids, known)
            await self._make_room(ahead)
        # Whoever came since may hold somebody by now who was merged before their page.
        merged, self._noted = self._noted, None
        await self._follow_some(merged, known)
        await self._until_stored(self._router.wanted)
        await self._parts.store.note_backfill(Backfill(known.version, known.marks, Phase.DONE, known.names))

    async def _follow_some(self, ids: Collection[bytes], known: Backfill) -> None:
        now, buckets, names = await self._now(), self._router.buckets, tuple(known.names)
        async with self._router.turn:
            await self._router.append(
                [(bucket_of(one, buckets), Follow(one, now, known.version, names)) for one in ids]
            )

    async def _now(self) -> int:
        """What time it is, as far as the log is routed."""
        while (now := await self._router.now()) is None:
            await self._parts.runtime.sleep(LOOK)
        return now

    async def _everybody(self) -> AsyncIterator[Sequence[bytes]]:
        after: bytes | None = None
        while page := await self._parts.store.people(limit=self._page, after=after):
            yield page
            after = page[-1]

    async def _make_room(self, ahead: deque[int]) -> None:
        """Note where a page ends in the stream; wait until the store has all but the latest pages."""
        ahead.append(self._router.wanted)
        if len(ahead) > _MOST_PAGES:
            await self._until_stored(ahead.popleft())

    async def _stored(self) -> int:
        return (await self._router.kept()).get(Stream.ROUTED, {}).get(0, 0)

    async def _until_stored(self, place: int) -> None:
        """Wait until the store has all that was routed before this place; ticks come by themselves."""
        while await self._stored() < place:
            await self._parts.runtime.sleep(_LOOK_AT_STORE)
