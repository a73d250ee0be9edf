"""Profiles: what an event changes, that each counts once, and that what is kept comes back."""

from __future__ import annotations

from base64 import b85decode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.contracts.lattice import LAWS
from obverse.core import changes, profiles
from obverse.core.changes import Change
from obverse.core.definitions import define
from obverse.core.identity import profile_id
from obverse.core.profiles import Profile, packing, window
from obverse.ports.profile_store import ProfileRow
from people_steps import DEFINITIONS, bought, event, fold, members, new, only, story, values

# What one event changes.


def test_changes_name_what_moved_and_the_event_that_did_it() -> None:
    people = new()
    first, again, free = (
        people.fold(one, (0, offset))
        for offset, one in enumerate(
            [
                bought("m1", 20, user_id="ada"),
                bought("m2", 1, sku="A", user_id="ada"),
                event("m3", type_="identify", user_id="ada", properties={"plan": "free", "seats": 5}),
            ]
        )
    )
    ada = only(people).id
    names = ["orders", "spent", "cheapest", "dearest", "first_sku", "last_at", "favourite", "variety"]
    assert [change for change in first.changes if change.kind == changes.TRAIT] == [
        Change(ada, changes.TRAIT, name, "m1") for name in names
    ]
    assert {change.name for change in first.changes if change.kind == changes.ENTERED} == {
        "buyers",
        "big",
        "priced",
        "strangers",
        "not_pro",
    }
    assert [change.name for change in again.changes] == ["orders", "spent", "cheapest"]
    assert list(free.changes) == [
        Change(ada, changes.ATTRIBUTE, "plan", "m3"),
        Change(ada, changes.ATTRIBUTE, "seats", "m3"),
        Change(ada, changes.LEFT, "strangers", "m3", 1),
    ]


def test_entries_into_an_audience_are_numbered() -> None:
    people = new()
    numbers = [
        (change.kind, change.number)
        for offset, plan in enumerate(["pro", "free", "pro", "free"])
        for change in people.fold(
            event(f"m{offset}", at=offset, type_="identify", user_id="ada", properties={"plan": plan}), (0, offset)
        ).changes
        if change.name == "not_pro"
    ]
    assert numbers == [("entered", 1), ("left", 1), ("entered", 2)]


def test_a_change_in_the_past_that_wins_nothing_is_no_change() -> None:
    people = new()
    fold(people, event("m1", at=5, type_="identify", user_id="ada", properties={"plan": "pro"}))
    folded = people.fold(event("m2", at=1, type_="identify", user_id="ada", properties={"plan": "free"}), (0, 1))
    assert list(folded.changes) == []
    assert [write.value for write in only(people).attributes["plan"]] == [b'"pro"', b'"free"']


def test_an_audience_of_those_of_whom_nothing_is_known_is_entered_at_the_first_event() -> None:
    people = new()
    fold(people, event("m1", user_id="ada"))
    assert members(only(people)) == {"strangers", "not_pro"}
    known = new()
    folded = known.fold(event("m1", type_="identify", user_id="ada", properties={"plan": "pro"}), (0, 0))
    assert members(only(known)) == set()
    assert [change.kind for change in folded.changes] == [changes.IDENTIFIER, changes.ATTRIBUTE]


def test_a_trait_that_begins_at_its_empty_value_has_begun() -> None:
    people = new()
    folded = people.fold(bought("m1", 0, user_id="ada"), (0, 0))
    assert values(people)["spent"] == 0
    assert "spent" in {change.name for change in folded.changes}
    assert "priced" in members(only(people))


def test_a_merge_judges_everybody_anew() -> None:
    people = new()
    fold(people, bought("m1", 6, user_id="ada"), bought("m2", 6, at=1, anonymous_id="a-1"))
    assert all("big" not in members(profile) for profile in people.profiles.values())
    folded = people.fold(event("m3", at=2, user_id="ada", anonymous_id="a-1"), (0, 2))
    absorbed = profile_id("main", "anonymous_id:a-1")
    assert list(folded.changes) == [
        Change(only(people).id, changes.MERGED, absorbed.hex(), "m3"),
        Change(only(people).id, changes.ENTERED, "big", "m3", 1),
    ]


def test_values_that_no_trait_can_use_move_none() -> None:
    people = new()
    fold(people, event("m1", type_="track", name="Bought", user_id="ada", properties={"price": None, "sku": ["A"]}))
    assert values(people) == {"orders": 1, "first_sku": ["A"], "last_at": "2026-01-01T00:00:00Z", "variety": 1}


# Every event once.


def test_a_message_id_counts_once() -> None:
    people = new()
    fold(people, bought("m1", user_id="ada"))
    folded = people.fold(bought("m1", 99, at=50, user_id="ada"), (2, 7))
    assert (folded.repeated, list(folded.changes)) == (True, [])
    assert (values(people)["spent"], only(people).events) == (5, 1)
    assert only(people).version == {0: 0, 2: 7}


def test_what_comes_again_shows_nothing() -> None:
    """A batch whose answer was lost is sent again, and has the time of the later copy if its events tell none."""
    once, twice = new(), new()
    fold(once, bought("m1", at=5, user_id="ada", anonymous_id="a-1"))
    fold(twice, *(bought("m1", at=at, user_id="ada", anonymous_id="a-1") for at in (5, 9, 1)))
    assert profiles.state_of(only(twice), DEFINITIONS) == profiles.state_of(only(once), DEFINITIONS)


def test_message_ids_of_two_sources_are_apart() -> None:
    people = new()
    one = bought("m1", user_id="ada")
    fold(people, one, msgspec.structs.replace(one, source="app"))
    assert values(people)["orders"] == 2


def test_what_either_side_has_seen_is_known_after_a_merge() -> None:
    people = new()
    log = [
        bought("m1", user_id="ada"),
        bought("m2", at=1, anonymous_id="a-1"),
        event("m3", at=2, user_id="ada", anonymous_id="a-1"),
    ]
    fold(people, *log)
    assert [people.fold(one, (1, offset)).repeated for offset, one in enumerate(log)] == [True] * 3
    assert values(people)["orders"] == 2


DAY = window.SECONDS
LEAST = window.LEAST


def test_a_long_life_keeps_its_window_bounded_and_counts_what_comes_again_within_it_once() -> None:
    people, step = new(define()), DAY // 1000
    many = 3 * LEAST
    fold(people, *(event(f"m{place}", at=place * step, user_id="ada") for place in range(many)))
    profile = only(people)
    assert LEAST <= len(profile.seen) <= 2 * LEAST + 1

    recent = many - LEAST
    assert people.fold(event(f"m{recent}", at=recent * step, user_id="ada"), (0, many)).repeated
    assert len(profile.seen.recent()) == LEAST
    assert profile.events == many


def test_when_the_window_was_trimmed_makes_no_difference() -> None:
    step = DAY // 1000
    log = [event(f"m{place}", at=place * step, user_id="ada") for place in range(2 * LEAST)]
    trimmed, whole = new(define()), new(define())
    for place, one in enumerate(log):
        trimmed.fold(one, (0, place))
        whole.fold(one, (0, place))
        if place % 1000 == 0:
            profiles.pack(only(trimmed), trimmed.definitions)
    assert profiles.state_of(only(trimmed), trimmed.definitions) == profiles.state_of(only(whole), whole.definitions)


# Kept and brought back.


def test_a_packed_profile_comes_back_whole() -> None:
    people = new()
    fold(people, *story())
    profile = only(people)
    back = profiles.unpack(profiles.pack(profile, DEFINITIONS), DEFINITIONS)
    assert profiles.state_of(back, DEFINITIONS) == profiles.state_of(profile, DEFINITIONS)
    for name in ("id", "identifiers", "edges", "attributes", "audiences", "seen", "version", "first", "changed_at"):
        assert getattr(back, name) == getattr(profile, name), name
    assert len(back.seen) == len(story())


@LAWS
@given(st.binary(max_size=80))
def test_bytes_that_are_no_profile_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="no packed profile"):
        profiles.unpack(packed, DEFINITIONS)
    with pytest.raises(ValueError, match="no packed profile"):
        profiles.unpack_briefly(packed)


def test_a_format_of_another_release_and_a_damaged_window_are_refused() -> None:
    known, packed = profiles.parts(profiles.pack(Profile(b"p" * 16), DEFINITIONS))
    state = msgspec.msgpack.decode(packed, strict=False)
    assert state[0] == packing.FORMAT
    with pytest.raises(ValueError, match="format 99 is not known; this release reads 2"):
        profiles.unpack(profiles.whole(known, msgspec.msgpack.encode([99, *state[1:]])), DEFINITIONS)
    with pytest.raises(ValueError, match="format 99 is not known; this release reads 2"):
        profiles.unpack_briefly(profiles.whole(known, msgspec.msgpack.encode([99, *state[1:]])))
    with pytest.raises(ValueError, match="13 bytes are no window"):
        profiles.unpack(profiles.whole(known, msgspec.msgpack.encode([*state[:5], b"x" * 13, *state[6:]])), DEFINITIONS)


def test_a_profile_that_was_kept_in_one_part_is_read() -> None:
    people = new()
    fold(people, *story())
    back = profiles.unpack(profiles.whole(b"", b85decode(FORMER)), DEFINITIONS)
    only(people).merges = 0  # they were not counted then
    assert back == only(people)
    assert profiles.unpack(profiles.pack(back, DEFINITIONS), DEFINITIONS) == back
    row = ProfileRow.of(back, DEFINITIONS)
    assert row.known is not None, "the next row has both parts, or what is known would be gone"
    assert profiles.unpack(profiles.whole(row.known.packed, row.state), DEFINITIONS) == back


def test_what_is_told_of_a_packed_profile_is_read_without_the_rest() -> None:
    people = new()
    fold(people, *story())
    profile = only(people)
    for packed in (profiles.pack(profile, DEFINITIONS), profiles.whole(b"", b85decode(FORMER))):
        brief = profiles.unpack_briefly(packed)
        assert (brief.id, brief.identifiers) == (profile.id, profile.identifiers)
        assert profile.attributes
        assert {name: brief.told(name) for name in (*profile.attributes, "none")} == {
            name: profile.told(name) for name in (*profile.attributes, "none")
        }


FORMER = (
    r"oB_lTXJ9)GMC60nuL<;;WvCk}g|K06Z*F;QZ*_BDX=FNKEiseN00u`$Mj$`{qHQtH00u`$MlXUut95f_a$jj=I$>mClg|JKM@U95"
    r"f<U5eGS2`8M@U9&i$JS&b7gX0X=FNLZ(@_r00u`$Mn1%VqHQzJ00u`$MtjYGuwia*Zh38Qb#q^7WIACjGLz2$21iInP6oiDZ8XmS"
    r"21iInY>Pm(Wo=<;Y&v3ZVnAhhVQp}1WiDfHZIjOc21iInd(D8NZ8y&V21iInd(D89m9SxMZ*F;QZ*_BDX=FNKEitQgb7gX0X=FNK"
    r"WMQIhGOcrEWo}<|Z)at6Xk~KG00u`$MlXUum9SxMZ*F;QZ*_BDX=FNKEi$Whb7gX0X=FNLZ(^ctHLY`HWo}<|Z)at6Xk~KG00u`$"
    r"MqNn&m9SxMZ*F;QZ*_BDX=FNKEi$Whb7gX0X=FNKWMQIhHm!4IWo}<|Z)at6Xk~KG00u`$Mr?~fm9=GUVQFkSVsBzVWq4t2aBO8R"
    r"V{dJ%b#rBMUuk4IVsB!iZ8xoRWo2$(bZ=*6bZBLA&j1ETNJe|jfP$oOY+-Jal9SH>21iInd(D8OcV%LtZ8yXPB5-nVB9fEO00u`$"
    r"MlXUuqjzOuqHQw71|nv1Wo06zWo=<;Y>|?a&j1ETNJe|jfTMS1Vxny~#1SH5Z(=}YcwudDY-KKEZ*3xos%tuLa%5$4b2>2tscSlO"
    r"aAj_EIx(d&GcGkStZO=BXk}q=Wpi{oF{CmsH887dI%H*Ga%FRLIx(R)t!p}FX>xOPUvq19Ix&)y&j1ETNJbz)0Hb$hVxny^!~-Hh"
    r"BCBgUY+-YBUtx4QF_M$d00u`$MotF6qjzOuqHQ$979uh*GBzzRF)c7LR4_0)FfckWGg>08YdU6Oc5iiZX>?^eF_MDB10q2p0mK6$"
    r"LLvgft7|%TVRC6@ba^^4lFt#t#7q`bz?{#18^y&2B^gD9rebw@WpZ<q!vW6#21iInP6oiHaB^v5Wn`1X0nY#iM@U9a2EeIvbaG*C"
    r"XJvA8lfnVd00u`$Mr?~fr*3a_UvP47lfnVd00u`$MtjYGqhe`ilfwbe00u`$Mr?~f#8g<3ecDgM#LbgUgg1h%L;t?sb4!Gq-%|4h"
    r"u?(gkvQU+m%!`-=vq7Qey+OVI&*OESBoHw|9$WyqRcQgaRcQjbRcQmcRcQpdRcQseRcQvfRcV0$29wVK21iInAV2`4cV%LtZ86UP"
    r"21iInd(D6c"
)
"""The story's profile, as format 1 packed it."""


# At rest.


def test_nobody_notices_that_a_profile_rests() -> None:
    people, rested = new(), new()
    for place, one in enumerate(story()):
        told = people.fold(one, (0, place))
        again = rested.fold(one, (0, place))
        assert (again.repeated, again.changes) == (told.repeated, told.changes)
        for profile in rested.profiles.values():
            if place % 2:
                ProfileRow.of(profile, DEFINITIONS)  # what is known rests only once it is kept
            profile.rest(DEFINITIONS)
    assert only(rested) == only(people)


@pytest.mark.parametrize("field", ["identifiers", "traits", "seen", "events", "sightings", "attributes", "edges"])
def test_a_resting_profile_wakes_whatever_is_touched_first(field: str) -> None:
    people = new()
    fold(people, *story())
    profile = only(people)
    expected, plan = getattr(profile, field), profile.attributes["plan"][0].value
    ProfileRow.of(profile, DEFINITIONS)
    packed = profiles.pack(profile, DEFINITIONS)

    profile.rest(DEFINITIONS)
    profile.rest(DEFINITIONS)

    assert profiles.pack(profile, DEFINITIONS) == packed
    assert profile.told("plan") == plan
    assert profile.told("shoe_size") is None
    with pytest.raises(AttributeError, match="no attribute 'shoe_size'"):
        profile.shoe_size  # type: ignore[attr-defined]  # noqa: B018 - that is asked for
    assert getattr(profile, field) == expected
    assert profiles.pack(profile, DEFINITIONS) == packed


def test_what_an_event_changes_of_what_is_known_is_in_the_next_row() -> None:
    people = new()
    for place, one in enumerate(story()):
        before = {key: profiles.parts(profiles.pack(each, DEFINITIONS))[0] for key, each in people.profiles.items()}
        people.fold(one, (0, place))
        for key, profile in people.profiles.items():
            fresh = packing.pack_known(
                profile.sightings, profile.edges, profile.attributes, profile.groups, profile.consents
            )
            row = ProfileRow.of(profile, DEFINITIONS)
            assert fresh == (before[key] if row.known is None else row.known.packed)
            assert ProfileRow.of(profile, DEFINITIONS).known is None, "it is told once"


def test_a_state_from_before_merges_were_counted_is_read() -> None:
    people = new()
    fold(people, *story())
    profile = only(people)
    assert profile.merges > 0
    known, state = profiles.parts(profiles.pack(profile, DEFINITIONS))
    former = msgspec.msgpack.decode(state)[: packing.State.__struct_fields__.index("merges")]

    back = profiles.unpack(profiles.whole(known, msgspec.msgpack.encode(former)), DEFINITIONS)

    profile.merges = 0
    assert back == profile


def test_traits_whose_definition_is_gone_are_left_behind() -> None:
    people = new()
    fold(people, bought("m1", user_id="ada"))
    fewer = define(traits=[one for one in DEFINITIONS.traits if one.name != "spent"])
    back = profiles.unpack(profiles.pack(only(people), fewer), DEFINITIONS)
    assert "spent" not in profiles.computed_traits(back, DEFINITIONS)
    assert profiles.computed_traits(back, DEFINITIONS)["orders"] == 1


def test_what_people_and_sql_read_of_a_profile() -> None:
    people = new()
    fold(people, *story()[:2])
    profile = only(people)
    assert profiles.identity_graph(profile) == {
        "identifiers": [
            {
                "kind": "anonymous_id",
                "value": "a-1",
                "first_seen": "2026-01-01T00:00:00Z",
                "event": "m1",
            },
            {
                "kind": "user_id",
                "value": "ada",
                "first_seen": "2026-01-01T00:00:01Z",
                "event": "m2",
            },
        ],
        "edges": [
            {
                "a": "anonymous_id:a-1",
                "b": "user_id:ada",
                "event": "m2",
                "rule": "seen_together",
                "at": "2026-01-01T00:00:01Z",
            }
        ],
        "refused": [],
    }
    assert profiles.attributes_text(profile) == b'{"plan":"free"}'
