"""What every engine must prove of what people ask of identity."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from obverse.contracts.engine_decisions import Otherwise
from obverse.contracts.engine_steps import PATIENCE, EngineQuestions, append, expected, kept, load, read
from obverse.contracts.stories import DEFINITIONS, START, tell
from obverse.core import profiles
from obverse.core.changes import UNMERGED, Change
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import Decision, IdentityRules, Limit, edge_key, id_name
from obverse.ports.engine import EngineParts
from obverse.ports.event_log import Stream
from obverse.ports.identity_requests import IdentityRequest, Outcome
from obverse.ports.profile_store import Checkpoint, ProfileStore, StoreWriter

ADA, BOB, TABLET = "user_id:ada", "user_id:bob", "anonymous_id:tablet"
CLEO = "user_id:cleo"
LIMITLESS = replace(DEFINITIONS, identity=IdentityRules(limits={}))


def shown(number: int, **ids: Any) -> Event:
    """Return an order of one unit by whom these identifiers name."""
    at = START + number
    return Event(
        type="track",
        name="Order Completed",
        message_id=f"asked-{number}",
        source="web",
        received_at=at,
        timestamp=at,
        properties=b'{"revenue": 1}',
        **ids,
    )


ORDERS = [
    shown(0, user_id="ada", anonymous_id="phone"),
    shown(1, user_id="bob"),
    shown(2, user_id="ada", anonymous_id="tablet"),
    # The mistake.
    shown(3, user_id="bob", anonymous_id="tablet"),
    shown(4, user_id="bob"),
    shown(5, anonymous_id="tablet"),
]


LIMITED = replace(DEFINITIONS, identity=IdentityRules(limits={"user_id": Limit(1)}))
REFUSED = [
    shown(0, user_id="ada", anonymous_id="phone"),
    shown(1, anonymous_id="tablet"),
    # The mistake: it is Bob's tablet.
    shown(2, user_id="ada", anonymous_id="tablet"),
    shown(3, user_id="bob", anonymous_id="tablet"),
    shown(4, user_id="cleo", anonymous_id="tablet"),
    shown(5, user_id="bob"),
]


def asked(one: str, other: str, *, name: str = "r1", kind: Any = "unmerge") -> IdentityRequest:
    """Return a request that nobody has looked at yet."""
    return IdentityRequest(id=name, kind=kind, one=one, other=other, by="eve", asked_at=START)


def is_hers(event: Event) -> bool:
    """Whether an event shows Ada's tablet, and nobody by name."""
    return (event.user_id, event.anonymous_id) == (None, "tablet")


class RequestPromises(EngineQuestions):
    """An edge is taken back, and two are one because somebody says so; killed at any moment, it is done once."""

    async def limitless(self, definitions: Definitions = LIMITLESS) -> EngineParts:
        """Parts in which many are brought together."""
        return replace(await self.open_parts(1), definitions=lambda: definitions)

    async def test_an_edge_is_taken_back_while_others_come_and_stays_so(self) -> None:
        parts = await self.limitless()
        placed = await append(parts, ORDERS, batch=2)
        await self.fold(parts)
        assert len(await load(parts, placed)) == 1
        await parts.store.ask_identity(asked(BOB, TABLET))
        async with self.running(parts) as engine:
            await self.settled(parts, "r1")
            more = [*tell(seed=31, people=5, events=60), shown(6, user_id="bob", anonymous_id="tablet")]
            placed += [(0, len(ORDERS) + place, one) for place, one in enumerate(more)]
            await append(parts, more, batch=7)
            await asyncio.wait_for(engine.drain(), PATIENCE)

        await self.told_apart(parts, placed)
        (outcome,) = [one.outcome for one in [await parts.store.identity_request("r1")] if one is not None]
        assert outcome is not None
        assert outcome.done
        # And once more, after a restart.
        await self.fold(parts)
        await self.told_apart(parts, placed)
        decided = await read(parts, Stream.DECISIONS, Decision)
        assert [one.kind for one in decided].count("unmerge") == 1
        moved = [one for one in await read(parts, Stream.CHANGES, Change) if one.kind == UNMERGED]
        assert len({(one.profile, one.name) for one in moved}) == 2

    async def test_killed_after_the_decision_it_is_done_all_the_same(self) -> None:
        parts = await self.limitless()
        placed = await append(parts, ORDERS, batch=3)
        await self.fold(parts)
        await parts.store.ask_identity(asked(BOB, TABLET))
        before = (await parts.log.bounds(Stream.DECISIONS))[0][1]
        async with self.running(replace(parts, store=_never_settled(parts))):
            async with asyncio.timeout(PATIENCE):
                while (await parts.log.bounds(Stream.DECISIONS))[0][1] == before:
                    await parts.runtime.sleep(0.02)
        request = await parts.store.identity_request("r1")
        assert request is not None
        assert request.outcome is None
        async with self.running(parts):
            await self.settled(parts, "r1")

        await self.told_apart(parts, placed)
        assert [one.kind for one in await read(parts, Stream.DECISIONS, Decision)].count("unmerge") == 1

    async def test_two_are_one_because_somebody_says_so(self) -> None:
        parts = await self.limitless(DEFINITIONS)
        placed = await append(parts, [shown(0, user_id="ada"), shown(1, user_id="bob")], batch=1)
        await self.fold(parts)
        await parts.store.ask_identity(asked(ADA, BOB, kind="merge"))
        await parts.store.ask_identity(asked(ADA, "user_id:nobody", name="r2", kind="merge"))
        await parts.store.ask_identity(asked(ADA, "user_id:nobody", name="r3"))
        async with self.running(parts):
            for name in ("r1", "r2", "r3"):
                await self.settled(parts, name)

        (one,) = await load(parts, placed)
        assert set(one.identifiers) == {ADA, BOB}
        assert one.edges[edge_key(ADA, BOB)].rule == "accepted"
        for name, words in (("r2", "nobody has user_id:nobody"), ("r3", "no edge ties")):
            request = await parts.store.identity_request(name)
            assert request is not None
            assert isinstance(request.outcome, Outcome)
            assert not request.outcome.done
            assert words in request.outcome.detail
        # Undone, they are who they were.
        await parts.store.ask_identity(asked(ADA, BOB, name="r4"))
        async with self.running(parts):
            await self.settled(parts, "r4")
        assert await kept(parts, placed) == expected(placed)

    async def test_a_profile_is_named_by_an_id_that_was_merged_away(self) -> None:
        parts = await self.limitless(DEFINITIONS)
        users = ["ada", "bob", "eve"]
        placed = await append(parts, [shown(place, user_id=user) for place, user in enumerate(users)], batch=1)
        await self.fold(parts)
        ids = {next(iter(one.identifiers)): id_name(one.id) for one in await load(parts, placed)}
        await parts.store.ask_identity(asked(ids[ADA], ids[BOB], kind="merge"))
        async with self.running(parts):
            await self.settled(parts, "r1")
        for place, lost in enumerate((ADA, BOB)):
            await parts.store.ask_identity(asked(ids[lost], ids["user_id:eve"], name=f"more{place}", kind="merge"))
        async with self.running(parts):
            for name in ("more0", "more1"):
                await self.settled(parts, name)
        (one,) = await load(parts, placed)
        assert set(one.identifiers) == {ADA, BOB, "user_id:eve"}

    async def test_a_rule_takes_back_what_was_tied_before(self) -> None:
        parts = await self.limitless()
        placed = await append(parts, ORDERS, batch=2)
        await self.fold(parts)
        apart = replace(LIMITLESS, identity=IdentityRules(limits={}, apart=frozenset({edge_key(BOB, TABLET)})))
        ruled = replace(parts, definitions=lambda: apart)
        async with self.running(ruled):
            async with asyncio.timeout(PATIENCE):
                while len(await load(ruled, placed)) == 1:
                    await parts.runtime.sleep(0.02)
        await self.told_apart(ruled, placed)
        await self.fold(ruled)
        kinds = [one.kind for one in await read(parts, Stream.DECISIONS, Decision)]
        assert kinds.count("unmerge") == 1

    async def test_what_a_limit_refused_because_of_the_edge_is_tied_once_it_is_taken_back(self) -> None:
        parts = await self.limitless(LIMITED)
        placed = await append(parts, REFUSED, batch=2)
        await self.fold(parts)
        assert await kept(parts, placed) == expected(placed, LIMITED)
        await parts.store.ask_identity(asked(ADA, TABLET))
        async with self.running(parts) as engine:
            await self.settled(parts, "r1")
            more = [shown(6, anonymous_id="tablet"), shown(7, user_id="cleo", anonymous_id="tablet")]
            placed += [(0, len(REFUSED) + place, one) for place, one in enumerate(more)]
            await append(parts, more, batch=1)
            await asyncio.wait_for(engine.drain(), PATIENCE)

        await self.bobs_tablet(parts, placed)
        # And once more, after a restart.
        await self.fold(parts)
        await self.bobs_tablet(parts, placed)

    async def test_killed_after_that_was_decided_it_is_done_once_all_the_same(self) -> None:
        parts = await self.limitless(LIMITED)
        placed = await append(parts, REFUSED, batch=3)
        await self.fold(parts)
        await parts.store.ask_identity(asked(ADA, TABLET))
        before = (await parts.log.bounds(Stream.DECISIONS))[0][1]
        async with self.running(replace(parts, store=_never_settled(parts))):
            async with asyncio.timeout(PATIENCE):
                while (await parts.log.bounds(Stream.DECISIONS))[0][1] == before:
                    await parts.runtime.sleep(0.02)
        assert (await parts.log.bounds(Stream.DECISIONS))[0][1] == before + 3, "all of it is written down at once"
        async with self.running(parts):
            await self.settled(parts, "r1")

        await self.fold(parts)
        await self.bobs_tablet(parts, placed)

    async def bobs_tablet(self, parts: EngineParts, placed: list[Any]) -> None:
        """Hold what is kept against a run in which the tablet was never Ada's; what was refused was decided once."""
        apart = replace(LIMITED.identity, apart=frozenset({edge_key(ADA, TABLET)}))
        assert await kept(parts, placed) == expected(placed, replace(LIMITED, identity=apart))
        decided = await read(parts, Stream.DECISIONS, Decision)
        again = [(one.kind, one.event) for one in decided if one.again]
        assert again == [("merge", "asked-3"), ("refuse", "asked-4")]
        assert [one.kind for one in decided].count("unmerge") == 1
        (packed,) = await parts.store.load([TABLET])
        bob = profiles.unpack(packed, parts.definitions())
        assert (bob.edges[edge_key(BOB, TABLET)].event, bob.edges[edge_key(CLEO, TABLET)].rule) == (
            "asked-3",
            "refused:user_id",
        )

    async def settled(self, parts: EngineParts, name: str) -> None:
        """Wait until a request is done with."""

        async def wait() -> None:
            while True:
                request = await parts.store.identity_request(name)
                if request is not None and request.outcome is not None:
                    return
                await parts.runtime.sleep(0.02)

        await asyncio.wait_for(wait(), PATIENCE)

    async def told_apart(self, parts: EngineParts, placed: list[Any]) -> None:
        """Hold what is kept against a run in which the edge never was."""
        apart = IdentityRules(limits={}, apart=frozenset({edge_key(BOB, TABLET)}))
        assert await kept(parts, placed) == expected(placed, replace(DEFINITIONS, identity=apart))
        ada, bob = [(await parts.store.load([one]))[0] for one in (ADA, BOB)]
        theirs = [profiles.unpack(one, parts.definitions()) for one in (ada, bob)]
        events = [[one.message_id for _, one in await parts.store.events_of(who.id, limit=100)] for who in theirs]
        assert [sorted(one) for one in events] == [
            sorted(one.message_id for _, _, one in placed if one.user_id == "ada" or is_hers(one)),
            sorted(one.message_id for _, _, one in placed if one.user_id == "bob"),
        ]


def _never_settled(parts: EngineParts) -> ProfileStore:
    """The store, if no checkpoint gets there with what was done on request."""

    async def commit(writer: StoreWriter, checkpoint: Checkpoint) -> None:
        if checkpoint.settled:
            await parts.runtime.sleep(10 * PATIENCE)
        await writer.commit(checkpoint)

    return cast("ProfileStore", Otherwise(parts.store, commit))
