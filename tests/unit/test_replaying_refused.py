"""What cannot be replayed is refused in words, and while something is away nothing is noted as done."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec import structs

from obverse.core.replays import Wanted
from obverse.ports.engine import Engine
from obverse.ports.outcomes import Unreachable
from obverse.ports.replays import ReplayStage
from replay_steps import ALL, Shop, customers, run

UNIFY, ACTIVATE, DELIVER = (Wanted(flows=(flow,)) for flow in ALL.flows)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (structs.replace(ACTIVATE, connection="hubspot"), r"no connection 'hubspot' is defined \(defined: crm\)"),
        (structs.replace(DELIVER, campaign="hello"), r"no campaign 'hello' is defined \(defined: welcome_buyers\)"),
        (structs.replace(UNIFY, partition=3), "the stream of events has one partition, 0, and no 3"),
        (structs.replace(DELIVER, partition=0, first=0, before=10**9), "the stream of changes holds offsets 0 to"),
    ],
)
def test_what_cannot_be_is_refused_in_words(wanted: Wanted, said: str) -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada")
        refused = await world.plan(wanted)
        assert refused.state is ReplayStage.REFUSED
        assert refused.reason is not None
        assert re.search(said, refused.reason), refused.reason

    run(story)


class _Plain:
    """An engine that folds nobody anew."""

    def __init__(self, engine: Engine) -> None:
        self.run, self.drain, self._engine = engine.run, engine.drain, engine

    @property
    def progress(self) -> Any:
        return self._engine.progress


class PlainShop(Shop):
    def acting_engine(self) -> Engine:
        return _Plain(self.engine)


def test_an_engine_that_folds_nobody_anew_says_what_to_do() -> None:
    async def story(world: Shop) -> None:
        await customers(world, "ada")
        refused = await world.plan(UNIFY)
        assert refused.state is ReplayStage.REFUSED
        assert refused.reason is not None
        assert "--to activate or --to deliver" in refused.reason
        assert (await world.plan(ACTIVATE)).state is ReplayStage.PLANNED

    run(story, world=PlainShop)


def test_while_nobody_holds_what_is_written_nothing_is_noted_as_done() -> None:
    async def story(world: Shop) -> None:
        await world.quiet()
        await world.deliver.put([])
        await world.stop()
        for put in (world.deliver.put([]), world.activate.put("crm", [])):
            with pytest.raises(Unreachable):
                await put
        with pytest.raises(Unreachable):
            await world.engine.fold_anew([], replay="1")  # type: ignore[attr-defined]

    run(story)
