"""What every `ProfileStore` must prove of the values of traits."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from msgspec.structs import replace

from obverse.contracts.profile_store_steps import NOON, StoreQuestions, a_profile, an_id, soon, write
from obverse.ports.profile_store import ProfileRow, ProfileStore
from obverse.ports.trait_values import TraitSample

MANY: Final = 100_000
ODD: Final = ("plan", "a'b\"c\\d", "$1", "ключ", "\U0001f9e1", "a.b", "?", "x" * 300)
"""Names that have broken stores before."""


def having(name: str, changed_at: int = NOON, **traits: Any) -> ProfileRow:
    """Return the row of somebody who has these traits."""
    return replace(a_profile(name), computed_traits=json.dumps(traits).encode(), changed_at=changed_at)


def values(sample: TraitSample) -> list[Any]:
    """Return what was found, decoded, in an order of its own."""
    return sorted((json.loads(one) for one in sample.values), key=json.dumps)


class TraitValuePromises(StoreQuestions):
    """Values of traits are counted and told."""

    async def test_where_nobody_is_no_trait_has_a_value(self, store: ProfileStore) -> None:
        counted = await soon(store.count_values(["orders"], most=MANY))
        assert (counted.everybody, counted.looked_at, counted.having) == (0, 0, {"orders": 0})
        sample = await soon(store.sample_values("orders", most=MANY))
        assert (sample.everybody, sample.looked_at, list(sample.values), sample.newest) == (0, 0, [], None)

    async def test_values_are_counted_and_told_as_they_are(self, store: ProfileStore) -> None:
        await write(
            store,
            profiles=[
                having("ada", orders=3, spent=12.50, tags=["a", "b"], vip=True),
                having("bea", changed_at=NOON + 7, orders=4, plan="pro \U0001f9e1"),
                having("cleo", changed_at=NOON + 9, plan=None, orders=None),
            ],
        )
        counted = await soon(store.count_values(["orders", "spent", "plan", "nothing"], most=MANY))
        assert (counted.everybody, counted.looked_at) == (3, 3)
        assert counted.having == {"orders": 2, "spent": 1, "plan": 1, "nothing": 0}
        assert (await soon(store.count_values([], most=MANY))).everybody == 3

        orders = await soon(store.sample_values("orders", most=MANY))
        assert (orders.everybody, orders.looked_at, values(orders), orders.newest) == (3, 3, [3, 4], NOON + 7)
        assert list((await soon(store.sample_values("spent", most=MANY))).values) in ([b"12.5"], [b"12.50"])
        assert values(await soon(store.sample_values("tags", most=MANY))) == [["a", "b"]]
        assert values(await soon(store.sample_values("plan", most=MANY))) == ["pro \U0001f9e1"]
        assert values(await soon(store.sample_values("vip", most=MANY))) == [True]

    @pytest.mark.parametrize("name", ODD)
    async def test_a_trait_may_have_any_name(self, store: ProfileStore, name: str) -> None:
        await write(store, profiles=[having("ada", **{name: 1, f"{name}{name}": 2})])
        assert (await soon(store.count_values([name], most=MANY))).having == {name: 1}
        assert values(await soon(store.sample_values(name, most=MANY))) == [1]

    async def test_who_was_merged_away_is_nobody(self, store: ProfileStore) -> None:
        await write(store, profiles=[having("ada", orders=1), having("bea", orders=2)])
        await write(store, profiles=[having("ada", orders=3)], absorbed={an_id("bea"): an_id("ada")})
        assert values(await soon(store.sample_values("orders", most=MANY))) == [3]
        assert (await soon(store.count_values(["orders"], most=MANY))).having == {"orders": 1}

    async def test_of_very_many_some_are_looked_at(self, store: ProfileStore) -> None:
        await write(store, profiles=[having(f"p{number}", orders=number // 300) for number in range(3000)])
        counted = await soon(store.count_values(["orders"], most=600))
        sample = await soon(store.sample_values("orders", most=600))
        assert counted.everybody == sample.everybody == 3000
        assert 0 < counted.looked_at == counted.having["orders"] < 1800
        assert sample.looked_at == len(sample.values) == counted.looked_at
        assert 3 < len(set(values(sample))) <= 10
        assert await soon(store.sample_values("orders", most=600)) == sample, "the same ones each time"

    async def test_nobody_sees_the_values_of_another_workspace(self, store: ProfileStore) -> None:
        other = await self.neighbour(store)
        await write(store, profiles=[having("ada", orders=1)])
        await write(other, profiles=[having("bea", orders=2), having("cleo", orders=2)])
        assert values(await soon(store.sample_values("orders", most=MANY))) == [1]
        assert (await soon(other.count_values(["orders"], most=MANY))).having == {"orders": 2}
