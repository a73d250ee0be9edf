"""What every `ProfileStore` must prove of finding many profiles at once, each by its name."""

from __future__ import annotations

from obverse.contracts.profile_store_steps import StoreQuestions, a_profile, an_id, soon, whole, write
from obverse.core.identity import id_name
from obverse.ports.profile_store import ProfileStore


class NamePromises(StoreQuestions):
    """Identifiers and ids, known and unknown, side by side."""

    async def test_each_name_leads_to_its_profile(self, store: ProfileStore) -> None:
        await write(
            store, profiles=[a_profile("ada", "user_id:1", "email:\U0001f600@x"), a_profile("bea", "user_id:2")]
        )

        own = id_name(an_id("bea"))
        asked = ["user_id:2", "user_id:nobody", "email:\U0001f600@x", "user_id:1", own, "id:nobody", id_name(bytes(16))]
        found = await soon(store.load_named(asked))

        assert found == {
            "user_id:2": whole("bea"),
            "email:\U0001f600@x": whole("ada"),
            "user_id:1": whole("ada"),
            own: whole("bea"),
        }

    async def test_no_name_leads_nowhere(self, store: ProfileStore) -> None:
        assert await soon(store.load_named([])) == {}
        assert await soon(store.load_named(["user_id:1", "", "user_id:", id_name(an_id("ada"))])) == {}

    async def test_names_of_the_absorbed_lead_to_its_keeper(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada"), a_profile("bea")])
        await write(store, profiles=[a_profile("ada", state=b"both")], absorbed={an_id("bea"): an_id("ada")})

        names = ["user_id:bea", id_name(an_id("bea")), id_name(an_id("ada"))]
        assert await soon(store.load_named(names)) == dict.fromkeys(names, whole("ada", b"both"))

    async def test_a_name_leads_to_whoever_claimed_it_last(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile("ada", "user_id:1")])
        await write(store, profiles=[a_profile("bea", "user_id:1")])

        assert await soon(store.load_named(["user_id:1"])) == {"user_id:1": whole("bea")}

    async def test_many_are_found_at_once(self, store: ProfileStore) -> None:
        await write(store, profiles=[a_profile(f"p{number}") for number in range(300)])

        found = await soon(store.load_named([f"user_id:p{number}" for number in range(400)]))

        assert found == {f"user_id:p{number}": whole(f"p{number}") for number in range(300)}

    async def test_a_name_leads_to_nobody_of_another_workspace(self, store: ProfileStore) -> None:
        await write(await self.neighbour(store), profiles=[a_profile("ada")])

        assert await soon(store.load_named(["user_id:ada", id_name(an_id("ada"))])) == {}
