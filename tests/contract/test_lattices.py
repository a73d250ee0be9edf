"""Every mergeable value keeps the laws of a lattice."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from obverse.contracts.lattice import LAWS, LatticeContract
from obverse.contracts.trait_kind import STAMPS
from obverse.core import groups, profiles
from obverse.core.crdt import clock, register
from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import KEPT, Register, Write
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.groups import Group
from obverse.core.identity import Edge, edge_key
from obverse.core.profiles import Membership, Profile, Sighting
from obverse.core.profiles.merging import MOST_GROUPS, MOST_REFUSED
from obverse.core.profiles.window import Window
from obverse.core.traits.sketches import Sketch

WRITES = st.builds(Write, STAMPS, st.sampled_from([b"1", b"2", b'"x"', b"null"]))
"""Few stamps, so that they tie; then the value decides."""

NOTHING = Definitions()


def written(writes: list[Write]) -> Register:
    """Return the register after these writes, one after another."""
    state: Register | None = None
    for one in writes:
        state = register.write(state, one)
    assert state is not None
    return state


REGISTERS = st.lists(WRITES, min_size=1, max_size=2 * KEPT).map(written)


class TestRegister(LatticeContract):
    def values(self) -> SearchStrategy[Any]:
        return REGISTERS

    def merge(self, one: Any, other: Any) -> Any:
        return register.merge(one, other)

    @LAWS
    @given(
        st.lists(WRITES, min_size=1, max_size=20).flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_)))
    )
    def test_writing_in_any_order_however_often_is_merging(self, drawn: tuple[list[Write], list[Write]]) -> None:
        writes, shuffled = drawn
        state = written(writes)
        assert written(shuffled) == written([*writes, *shuffled]) == state
        assert state == tuple(sorted(set(writes), reverse=True)[:KEPT])


class TestVersions(LatticeContract):
    def values(self) -> SearchStrategy[Any]:
        return st.dictionaries(st.integers(0, 3), st.integers(0, 5), max_size=4)

    def merge(self, one: Any, other: Any) -> Any:
        return clock.merge_versions(one, other)

    def test_the_higher_offset_of_each_partition_counts(self) -> None:
        assert clock.merge_versions({0: 0, 1: 5}, {1: 3, 2: 0}) == {0: 0, 1: 5, 2: 0}


class TestEarliest(LatticeContract):
    def values(self) -> SearchStrategy[Any]:
        return st.none() | STAMPS

    def merge(self, one: Any, other: Any) -> Any:
        return clock.earliest(one, other)


class TestLatest(TestEarliest):
    def merge(self, one: Any, other: Any) -> Any:
        return clock.latest(one, other)


class TestSketch(LatticeContract):
    def values(self) -> SearchStrategy[Any]:
        return st.lists(st.integers(0, 2**64 - 1), max_size=20).map(Sketch.of)

    def merge(self, one: Any, other: Any) -> Any:
        return one.union(other)

    @LAWS
    @given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.lists(st.integers(0, 2**64 - 1), max_size=20))
    def test_a_union_is_the_sketch_of_both(self, one: list[int], other: list[int]) -> None:
        grown = Sketch.of([*one, *other])
        assert Sketch.of(one).union(Sketch.of(other)) == grown
        anew = Sketch(grown.registers)
        assert (grown.weight, grown.empty) == (anew.weight, anew.empty)


SIGHTINGS = st.tuples(st.builds(Sighting, st.integers(0, 4), st.sampled_from("ab")), st.integers(0, 4))
"""The first, and how much later the last one was."""
IDENTIFIERS = st.sampled_from(["user_id:ada", "email:ada@example.com", "anonymous_id:1", "anonymous_id:2"])
EDGES = st.builds(
    lambda ends, event, at: Edge(*edge_key(*sorted(ends)), event, "seen_together", at),
    st.sets(IDENTIFIERS, min_size=2, max_size=2),
    st.sampled_from("ab"),
    st.integers(0, 4),
)


def made(
    shown: dict[str, tuple[Sighting, int]],
    edges: dict[tuple[str, str], Edge],
    attributes: dict[str, Register],
    consents: dict[str, Register],
    groups: dict[str, Sighting],
    **state: Any,
) -> Profile:
    profile = Profile(identifiers={name: first.at + more for name, (first, more) in shown.items()}, **state)
    profile.sightings.update({name: first for name, (first, _) in shown.items()})
    profile.edges.update(edges)
    profile.attributes.update(attributes)
    profile.consents.update(consents)
    profile.groups.update(groups)
    return profile


SINCE = st.builds(Sighting, st.integers(0, 4), st.sampled_from("ab"))
MEMBERS = st.dictionaries(st.sampled_from(["acme", "initech"]), SINCE)
ALLOWED = st.builds(Write, STAMPS, st.sampled_from([b"true", b"false"]))
FEW = st.integers(0, 5)
PROFILES = st.builds(
    made,
    shown=st.dictionaries(IDENTIFIERS, SIGHTINGS, max_size=3),
    id=st.sampled_from([b"1" * 16, b"2" * 16]),
    edges=st.lists(EDGES, max_size=3).map(lambda edges: {(edge.a, edge.b): edge for edge in edges}),
    attributes=st.dictionaries(st.sampled_from(["plan", "email"]), REGISTERS, max_size=2),
    consents=st.dictionaries(
        st.sampled_from(["email", "ads"]), st.lists(ALLOWED, min_size=1, max_size=3).map(written), max_size=2
    ),
    groups=MEMBERS,
    audiences=st.dictionaries(
        st.sampled_from(["big", "shy"]),
        st.builds(Membership, st.booleans(), st.integers(0, 3), st.integers(0, 5)),
        max_size=2,
    ),
    seen=st.dictionaries(st.integers(0, 5).map(lambda one: one.to_bytes(8)), st.integers(0, 5), max_size=4).map(
        Window.of
    ),
    version=st.dictionaries(st.integers(0, 2), st.integers(0, 5), max_size=2),
    first=st.none() | STAMPS,
    changed_at=FEW,
    turned_at=FEW,
    events=FEW,
    merges=FEW,
)


class TestProfile(LatticeContract):
    """All of a profile but its traits, events and merges, which count; and its id, of which one stays."""

    def values(self) -> SearchStrategy[Any]:
        return PROFILES

    def merge(self, one: Any, other: Any) -> Any:
        return profiles.merge(one, other, NOTHING)

    def knowledge(self, value: Any) -> Any:
        return (
            value.identifiers,
            value.sightings,
            value.edges,
            value.attributes,
            value.consents,
            value.groups,
            value.audiences,
            value.seen,
            value.version,
            value.first,
            value.changed_at,
            value.turned_at,
        )

    @LAWS
    @given(PROFILES, PROFILES)
    def test_the_first_keeps_its_id_and_events_and_merges_add_up(self, one: Profile, other: Profile) -> None:
        kept, events, merges = one.id, one.events + other.events, one.merges + other.merges
        merged = profiles.merge(one, other, NOTHING)
        assert merged is one
        assert (merged.id, merged.events, merged.merges) == (kept, events, merges)

    def test_of_either_the_merged_one_knows_what_was_allowed(self) -> None:
        def allowing(**said: tuple[int, bytes]) -> Profile:
            one = Profile(b"1" * 16)
            one.consents.update(
                {name: written([Write(Stamp(at, "web", "m"), word)]) for name, (at, word) in said.items()}
            )
            return one

        one = allowing(email=(1, b"true"), ads=(2, b"false"))
        merged = profiles.merge(one, allowing(email=(2, b"false"), sms=(1, b"true")), NOTHING)
        assert {name: merged.consented(name) for name in merged.consents} == {"email": False, "ads": False, "sms": True}


def full(one: Profile, first: int, count: int, step: int) -> Profile:
    """A profile with as many refusals as it may have, or nearly, as the fold would have it."""
    for n in range(first, first + count):
        ends = edge_key("user_id:bob", f"anonymous_id:{n}")
        profiles.tie(one, ends, Edge(*ends, "ab"[n % 2], "refused:user_id", n * step % 9))
    return one


FULL = st.builds(
    full, PROFILES, st.integers(0, 12), st.integers(MOST_REFUSED - 6, MOST_REFUSED), st.sampled_from([1, 2, 5])
)
"""
Nobody ties a pair here that was refused: that makes room for an earlier refusal, and which one is gone by then hangs on
the order. It is the log of decisions that keeps all of them.
"""


class TestFullProfile(TestProfile):
    """The refusals of a profile keep the laws at their bound, too."""

    def values(self) -> SearchStrategy[Any]:
        return FULL

    @LAWS
    @given(FULL, FULL)
    def test_the_latest_refusals_stay(self, one: Profile, other: Profile) -> None:
        known = {**one.edges, **other.edges}.items()
        refused = {ends: max(edge, other.edges.get(ends, edge), key=newest) for ends, edge in known if edge.refused}
        refused |= {ends: max(edge, refused[ends], key=newest) for ends, edge in one.edges.items() if edge.refused}
        merged = profiles.merge(one, other, NOTHING)
        kept = [edge for edge in merged.edges.values() if edge.refused]
        latest = sorted(refused.values(), key=newest)[-MOST_REFUSED:]
        assert sorted(kept, key=newest) == latest


def newest(edge: Edge) -> tuple[int, str, tuple[str, str]]:
    return edge.at, edge.event, edge_key(edge.a, edge.b)


@pytest.mark.parametrize("seed", range(3))
def test_the_groups_of_a_profile_keep_the_laws_at_their_bound(seed: int) -> None:
    """Apart from the other parts, since there are a thousand."""
    dice = Random(seed)

    def member() -> Profile:
        one = Profile(b"1" * 16)
        first, count = dice.randrange(12), MOST_GROUPS - dice.randrange(6)
        for n in range(first, first + count):
            profiles.join(one, f"g{n}", Sighting(dice.randrange(50), dice.choice("ab")))
        return one

    def joined(*some: Profile) -> dict[str, Sighting]:
        whole = deepcopy(some[0])
        for one in some[1:]:
            profiles.merge(whole, deepcopy(one), NOTHING)
        return whole.groups

    one, two, three = member(), member(), member()
    assert joined(one, two) == joined(two, one) == joined(one, two, one, two)
    assert joined(one, one) == one.groups
    grown = profiles.merge(deepcopy(two), deepcopy(three), NOTHING)
    assert joined(one, two, three) == joined(one, grown) == joined(grown, one)
    everything = sorted(((since, name) for each in (one, two, three) for name, since in each.groups.items()))
    first = {name: since for since, name in reversed(everything)}
    assert joined(one, two, three) == {
        name: since for since, name in sorted((v, k) for k, v in first.items())[:MOST_GROUPS]
    }


CALLS = st.builds(
    lambda number, at, properties: Event(
        type="group",
        message_id=number,
        source="web",
        received_at=at + 1,
        timestamp=at,
        group_id="acme",
        properties=properties,
    ),
    st.sampled_from("abc"),
    st.integers(0, 3),
    st.sampled_from([b"{}", b'{"plan": "pro"}', b'{"plan": "free", "seats": 3}', b'{"seats": 4}']),
)
"""Few, so that one comes again, and some tie."""


def told(calls: list[Event]) -> Group:
    """Return the group after these calls, one after another."""
    group = Group("acme")
    for one in calls:
        groups.tell(group, one, one.stamp)
    return group


class TestGroup(LatticeContract):
    def values(self) -> SearchStrategy[Any]:
        return st.lists(CALLS, max_size=8).map(told)

    def merge(self, one: Any, other: Any) -> Any:
        return groups.merge(one, other)

    @LAWS
    @given(st.lists(CALLS, max_size=10).flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_))))
    def test_telling_in_any_order_however_often_is_merging(self, drawn: tuple[list[Event], list[Event]]) -> None:
        calls, shuffled = drawn
        apart = Group("acme")
        for one in shuffled:
            groups.merge(apart, told([one]))
        assert told(calls) == told(shuffled) == told([*calls, *shuffled]) == apart

    @LAWS
    @given(st.lists(CALLS, max_size=8).map(told))
    def test_it_comes_back_as_it_was_packed(self, group: Group) -> None:
        assert groups.unpack(groups.pack(group)) == group
