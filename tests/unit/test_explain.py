"""Reasons name what a person can look up: groups by their ids, audiences with since when."""

from __future__ import annotations

from typing import Any

import msgspec

from obverse.adapters.runtime.system import open_runtime
from obverse.core.audiences import Audience
from obverse.core.conditions import parse
from obverse.core.definitions import define
from obverse.flows.explain import SHOWN, Explain, ReasonView
from reading import DEFINITIONS, Shop, group_call, open_shop, track

LOOKS = {
    "op": "and",
    "of": [
        {"op": "member", "group": "acme"},
        {"op": "member", "audience": "big_spenders"},
        {"op": "member", "audience": "one_time_buyers"},
    ],
}


async def found(shop: Shop, person: str) -> list[tuple[bool, Any, list[ReasonView]]]:
    definitions = define(
        traits=DEFINITIONS.traits,
        audiences=[*DEFINITIONS.audiences, Audience("looks", parse(LOOKS))],
        identity=DEFINITIONS.identity,
    )
    why = await Explain(shop.serve, lambda: definitions, open_runtime()).why(person, "looks")
    assert why is not None
    return [(one.holds, msgspec.json.decode(one.value), one.of) for one in why.reason.of]


async def test_groups_and_audiences_are_told_with_what_was_found() -> None:
    shop = await open_shop()
    await shop.fold(
        track(0, "400", user_id="ada"),
        track(1, "700", user_id="ada"),
        group_call(2, "firm", user_id="ada"),
        group_call(3, "acme", user_id="ada"),
        track(4, "1", user_id="bob"),
    )
    (in_group, groups, _), (rich, spends, below), (once, bought, _) = await found(shop, "user_id:ada")
    assert (in_group, groups) == (True, ["acme", "firm"])
    assert (rich, spends) == (True, {"member": True, "since": "2026-01-31T12:01:00Z", "number": 1})
    assert [(one.condition["trait"], one.holds, bytes(one.value)) for one in below] == [
        ("lifetime_value", True, b"1100")
    ]
    assert (once, bought) == (False, {"member": False, "since": "2026-01-31T12:01:00Z", "number": 1})

    (in_group, groups, _), (rich, spends, _), (once, bought, _) = await found(shop, "user_id:bob")
    assert (in_group, groups, rich, spends, once) == (False, [], False, None, True)
    assert bought["member"]
    await shop.close()


async def test_of_many_groups_some_are_told() -> None:
    shop = await open_shop()
    await shop.fold(*(group_call(number, f"g{number:03}", user_id="ada") for number in range(SHOWN + 5)))
    assert (await found(shop, "user_id:ada"))[0][1] == [f"g{number:03}" for number in range(SHOWN)]
    await shop.close()
