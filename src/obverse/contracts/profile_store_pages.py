"""What every `ProfileStore` must prove of looking for people, and of listing who is in an audience."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from obverse.contracts.profile_store_steps import NOON, StoreQuestions, a_profile, an_id, soon, up_to, whole, write
from obverse.ports.identifier_owners import Owners
from obverse.ports.profile_store import Member, ProfileRow, ProfileStore

PEOPLE = ("user_id:1", "user_id:17", "user_id:170", "user_id:18", "email:170@example.com", "anonymous_id:17")


async def _searched(store: ProfileStore, *prefixes: str, limit: int = 100, after: str | None = None) -> list[str]:
    return [one for one, _ in await soon(store.search(prefixes, limit=limit, after=after))]


class PagePromises(StoreQuestions):
    """Prefixes, order, pages."""

    async def test_an_empty_store_lists_nobody(self, store: ProfileStore) -> None:
        assert await soon(store.search(["user_id:"], limit=5)) == []
        assert await soon(store.search([], limit=5)) == []
        assert await soon(store.members("vip", limit=5)) == []

    async def test_identifiers_are_found_by_how_they_begin(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile(one, one) for one in PEOPLE])

        assert await _searched(store, "user_id:17") == ["user_id:17", "user_id:170"]
        assert await _searched(store, "user_id:17", "email:17", "anonymous_id:17") == [
            "anonymous_id:17",
            "email:170@example.com",
            "user_id:17",
            "user_id:170",
        ]
        assert await _searched(store, "user_id:2", "name:") == []
        assert await soon(store.search(["user_id:18"], limit=9)) == [("user_id:18", whole("user_id:18"))]

    async def test_a_search_goes_on_after_what_was_found(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile(one, one) for one in PEOPLE])

        found: list[str] = []
        while page := await _searched(store, "user_id:", "email:", limit=2, after=found[-1] if found else None):
            found += page

        assert found == sorted(one for one in PEOPLE if not one.startswith("anonymous_id"))

    async def test_any_text_may_be_looked_for(self, store: ProfileStore) -> None:
        odd = ["a%b", "a%c", "a_b", "aXb", "\u00fc1", "\u00fc2", "\ud7ff\U0001f600", "\U0010ffff1", "'; drop", "\\"]
        await write(store, profiles=[a_profile(one, f"user_id:{one}") for one in odd])

        for sought in ("a%", "a_", "\u00fc", "\ud7ff", "\U0010ffff", "'", "\\", "a"):
            expected = sorted(f"user_id:{one}" for one in odd if one.startswith(sought))
            assert await _searched(store, f"user_id:{sought}") == expected

    async def test_a_search_gives_whose_it_is_now(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", "user_id:1"), a_profile("bea", "user_id:2")])
        await write(store, profiles=[a_profile("ada", state=b"both")], absorbed={an_id("bea"): an_id("ada")})
        await write(store, profiles=[a_profile("cleo", "user_id:1")])

        assert await soon(store.search(["user_id:1", "user_id:2"], limit=9)) == [
            ("user_id:1", whole("cleo")),
            ("user_id:2", whole("ada", b"both")),
        ]

    async def test_members_come_in_the_order_of_their_ids(self, store: ProfileStore) -> None:
        names = [f"p{number}" for number in range(7)]
        await write(store, profiles=[a_profile(name, vip=number + 1, new=1) for number, name in enumerate(names)])
        await write(store, profiles=[a_profile("p2", new=1)])
        await write(store, profiles=[a_profile("p0", vip=1)], absorbed={an_id("p5"): an_id("p0")})

        found: list[Member] = []
        while page := await soon(store.members("vip", limit=2, after=found[-1].profile if found else None)):
            found += page

        assert found == sorted(
            (
                Member(an_id(name), number + 1, NOON + number + 1, whole(name))
                for number, name in enumerate(names)
                if name not in {"p2", "p5"}
            ),
            key=lambda member: member.profile,
        )

    async def test_nobody_is_listed_of_another_workspace(self, store: ProfileStore) -> None:
        await write(await self.neighbour(store), profiles=[a_profile("ada", vip=1)])

        assert await _searched(store, "user_id:") == []
        assert await soon(store.members("vip", limit=5)) == []


class OwnerPromises(StoreQuestions):
    """Who has which identifier, all at once."""

    async def test_an_empty_store_has_no_owners(self, store: ProfileStore) -> None:
        assert await soon(store.owners("unify")) == Owners(
            marks={}, profiles={}, refused={}, undone=frozenset(), set_aside=0
        )

    async def test_everybodys_identifiers_are_told_as_of_a_mark(self, store: ProfileStore) -> None:
        await write(
            store, profiles=[a_profile("ada", "user_id:1", "email:\U0001f600@x"), a_profile("bea")], marks=up_to(7)
        )
        await write(await self.neighbour(store), profiles=[a_profile("cleo")])

        assert await soon(store.owners("unify")) == Owners(
            marks=up_to(7),
            profiles={"user_id:1": an_id("ada"), "email:\U0001f600@x": an_id("ada"), "user_id:bea": an_id("bea")},
            refused={},
            undone=frozenset(),
            set_aside=0,
        )
        assert (await soon(store.owners("another"))).marks == {}

    async def test_what_was_merged_away_owns_nothing(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea"), a_profile("cleo", "user_id:3")])
        await write(store, profiles=[a_profile("ada")], absorbed={an_id("bea"): an_id("ada")})
        await write(store, profiles=[a_profile("cleo")], absorbed={an_id("ada"): an_id("cleo")})

        assert set((await soon(store.owners("unify"))).profiles.values()) == {an_id("cleo")}

    async def test_refused_pairs_are_counted_by_their_rule(self, store: ProfileStore) -> None:
        def refusing(name: str, *rules: str) -> ProfileRow:
            row = a_profile(name)
            assert row.known is not None
            pairs = [{"a": f"email:{rule}", "b": "user_id:1", "rule": rule} for rule in rules]
            edges = [{"a": "email:x", "b": f"user_id:{name}", "rule": rule} for rule in ("accepted", "seen_together")]
            graph = msgspec.json.encode({"identifiers": [], "edges": edges, "refused": pairs})
            return replace(row, known=replace(row.known, identity_graph=graph))

        people = [refusing("ada", "email", "user_id", "undone"), refusing("bea", "user_id", "taken"), a_profile("cleo")]
        await write(store, profiles=people)
        owners = await soon(store.owners("unify"))
        assert owners.refused == {"email": 1, "user_id": 1, "undone": 1, "taken": 1}, "both sides tell of one pair"
        assert owners.undone == {("email:undone", "user_id:1")}
        assert owners.accepted == {("email:x", "user_id:ada"), ("email:x", "user_id:bea")}
        await write(store, absorbed={an_id("bea"): an_id("ada")})
        assert "taken" not in (await soon(store.owners("unify"))).refused
