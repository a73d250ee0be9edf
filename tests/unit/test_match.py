"""Everybody is compared, those who may be one are proposed, and what was decided is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from matching_steps import ADA, BOB, Queue
from obverse.adapters.memory.merge_requests import Asked
from obverse.core.identity import id_name
from obverse.core.matching import State, Tier
from obverse.ports.merge_requests import BY_ITSELF
from obverse.ports.outcomes import Unreachable
from obverse.ports.proposals import pair_of
from reading import NOON, Faulty, Shop, open_shop


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = await open_shop()
    yield shop
    await shop.close()


@pytest.fixture
def queue(shop: Shop) -> Queue:
    return Queue(shop)


async def test_who_may_be_one_person_is_proposed_with_the_reasons(queue: Queue) -> None:
    ada, again = await queue.tell("1", **ADA), await queue.tell("2", **ADA | {"phone": "+44 20 7999 9999"})
    await queue.tell("3", **BOB)

    matched = await queue.match()

    (proposal,) = await queue.every()
    assert proposal.pair == pair_of(ada, again)
    assert (proposal.tier, proposal.state) == (Tier.STRICT, State.OPEN)  # three of four
    assert proposal.reasons[:3] == ("same first name", "same surname", "same birth date")
    assert proposal.reasons[3].startswith("phone is different (4420")
    assert (matched.people, matched.open, matched.merged, matched.closed) == (3, 1, 0, 0)
    assert dict(matched.tiers) == {Tier.STRICT: 1}
    assert [one.pair for one in matched.first] == [proposal.pair]


async def test_nobody_and_one_alone_are_no_pair(queue: Queue) -> None:
    assert (await queue.match()).people == 0
    await queue.tell("1", **ADA)
    assert (await queue.match()).tiers == {}


async def test_a_second_run_changes_nothing(queue: Queue) -> None:
    await queue.tell("1", **ADA)
    await queue.tell("2", **ADA)
    await queue.match()
    before = await queue.every()

    matched = await queue.match()

    assert await queue.every() == before
    assert (matched.open, matched.decided, matched.closed) == (1, 0, 0)


async def test_a_rejected_pair_comes_back_only_when_its_values_are_others(queue: Queue) -> None:
    await queue.tell("1", **ADA)
    await queue.tell("2", **ADA | {"phone": "+44 20 7999 9999"})
    await queue.match()
    await queue.proposals.decide(1, State.REJECTED, by="ada", now=NOON)

    matched = await queue.match()
    assert (matched.open, matched.decided) == (0, 1)
    await queue.tell("1", plan="pro")  # nothing that is compared
    assert (await queue.match()).open == 0

    await queue.tell("2", phone=ADA["phone"])
    assert (await queue.match()).open == 1
    assert [one.state for one in await queue.every()] == [State.OPEN]


async def test_an_accepted_pair_is_not_proposed_again(queue: Queue) -> None:
    await queue.tell("1", **ADA)
    await queue.tell("2", **ADA | {"phone": "+44 20 7999 9999"})
    await queue.match()
    await queue.proposals.decide(1, State.ACCEPTED, by="ada", now=NOON)
    await queue.tell("2", phone=ADA["phone"])

    assert (await queue.match()).open == 0
    assert [one.state for one in await queue.every()] == [State.ACCEPTED]


async def test_a_pair_that_has_become_one_is_closed(queue: Queue) -> None:
    await queue.tell("1", **ADA)
    await queue.tell("2", **ADA)
    await queue.match()
    await queue.become_one("1", "2")
    assert await queue.id_of("1") == await queue.id_of("2")

    matched = await queue.match()

    assert (matched.people, matched.open, matched.closed) == (1, 0, 1)
    assert [one.state for one in await queue.every()] == [State.CLOSED]


async def test_a_pair_that_matches_no_more_is_closed(queue: Queue) -> None:
    await queue.tell("1", **ADA)
    await queue.tell("2", **ADA)
    await queue.match()
    await queue.tell("2", **BOB)

    assert (await queue.match()).closed == 1
    assert [one.state for one in await queue.every()] == [State.CLOSED]
    await queue.tell("2", **ADA)
    assert (await queue.match()).open == 1


async def test_a_rejection_is_remembered_when_one_of_the_two_was_merged_away(queue: Queue) -> None:
    keeper = await queue.tell("1", **ADA)
    late = await queue.tell("2", **ADA)
    other = await queue.tell("3", **ADA)
    await queue.match()
    wanted = {one.pair: one.id for one in await queue.every()}
    await queue.proposals.decide(wanted[pair_of(late, other)], State.REJECTED, by="ada", now=NOON)
    await queue.proposals.close_proposals(list(wanted.values()), now=NOON)
    await queue.become_one("1", "2")
    assert await queue.id_of("2") == keeper

    # What is known of the keeper is what was known of the one that was merged away.
    assert (await queue.match()).open == 0

    await queue.tell("1", phone="+44 20 7999 9999")
    assert (await queue.match()).open == 1


# Merging without a person.


async def test_exact_pairs_wait_for_a_person_unless_the_workspace_says_otherwise(queue: Queue) -> None:
    ada, again = await queue.tell("1", **ADA), await queue.tell("2", **ADA)
    await queue.match()
    (proposal,) = await queue.every()
    assert (proposal.tier, proposal.state) == (Tier.EXACT, State.OPEN)
    assert queue.merges.asked == []

    queue.rules(merge_exact=True)
    matched = await queue.match()

    (proposal,) = await queue.every()
    assert (proposal.state, proposal.decided_by) == (State.MERGED, BY_ITSELF)
    assert (matched.open, matched.merged, matched.first) == (0, 1, [])
    one, other = sorted((ada, again))
    why = "same first name; same surname; same birth date; same phone"
    assert queue.merges.asked == [Asked(id_name(one), id_name(other), BY_ITSELF, why)]


async def test_nothing_but_exact_pairs_is_merged_without_a_person(queue: Queue) -> None:
    ada = await queue.tell("1", **ADA)
    await queue.tell("2", **ADA | {"birthday": "1815-12-11"})
    moved = await queue.tell("3", **ADA | {"phone": "+44 20 7999 9999"})
    queue.rules(merge_exact=True, exact=0.5)

    await queue.match()

    # However low the workspace sets the tier, two birth dates are never exact.
    assert {one.pair: one.state for one in await queue.every() if one.state is not State.OPEN} == {
        pair_of(ada, moved): State.MERGED
    }
    assert len(queue.merges.asked) == 1


async def test_a_group_of_which_two_are_no_exact_pair_is_left_to_a_person(queue: Queue) -> None:
    # The one in the middle is the same as each of the others, who have different birth dates.
    middle = {name: value for name, value in ADA.items() if name != "birthday"}
    for user, person in (("1", ADA), ("2", middle), ("3", ADA | {"birthday": "1999-09-09"})):
        await queue.tell(user, **person)
    queue.rules(merge_exact=True)

    matched = await queue.match()

    assert matched.tiers[Tier.EXACT] == 2
    assert (matched.merged, queue.merges.asked) == (0, [])
    assert {one.state for one in await queue.every()} == {State.OPEN}


async def test_where_merges_cannot_be_asked_for_nothing_is_decided(queue: Queue) -> None:
    await queue.tell("1", **ADA)
    await queue.tell("2", **ADA)
    queue.rules(merge_exact=True)
    queue.merges = Faulty(queue.merges)
    queue.merges.failure = Unreachable("the database is away")

    with pytest.raises(Unreachable, match="away"):
        await queue.match()

    assert [one.state for one in await queue.every()] == [State.OPEN]


async def test_more_people_than_one_page_are_all_compared(queue: Queue) -> None:
    queue.page = 2
    for user in range(1, 6):
        await queue.tell(str(user), **ADA)

    matched = await queue.match()
    again = await queue.match()

    assert (matched.people, matched.open) == (5, 10)
    assert (again.open, again.closed) == (10, 0)
