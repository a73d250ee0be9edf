"""Conditions on what people did, in which order, and on how long ago something was; and what time alone changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condition_steps import DID, EVENTS, NOW, PEOPLE, SECOND, STEPS, TREES, Someone, look
from obverse.contracts.lattice import LAWS
from obverse.core import spans, times
from obverse.core.conditions import BadCondition, Explanation, as_tree, changing, compiled, explain, parse

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND


def holds(tree: Any, one: Someone, now: int = NOW) -> bool:
    return compiled(parse(tree), look)(one, now)


def did(*ago: int, event: str = "Viewed") -> Someone:
    """Somebody who did it so many microseconds ago."""
    return Someone(happened={event: sorted(NOW - one for one in ago)})


VIEWED = {"op": "did", "event": "Viewed"}


@pytest.mark.parametrize(
    ("more", "yes", "no"),
    [
        ({}, [did(0), did(900 * DAY)], [did(), did(1, event="Bought")]),
        ({"times": 2}, [did(1, 1), did(5, DAY)], [did(1)]),
        ({"times": {"at_most": 1}}, [did(), did(1)], [did(1, 2)]),
        ({"times": {"exactly": 0}}, [did()], [did(1)]),
        ({"times": {"at_least": 1, "at_most": 2}}, [did(1), did(1, 2)], [did(), did(1, 2, 3)]),
        ({"within": "1 day"}, [did(0), did(DAY - 1), did(DAY - 1, 2 * DAY)], [did(DAY), did(2 * DAY), did()]),
        ({"times": 2, "within": "1 day"}, [did(1, DAY - 1)], [did(1, DAY), did(DAY, DAY)]),
        ({"times": {"exactly": 0}, "within": "1 day"}, [did(), did(DAY)], [did(DAY - 1)]),
    ],
)
def test_what_somebody_did(more: dict[str, Any], yes: list[Someone], no: list[Someone]) -> None:
    assert [one for one in yes if not holds({**VIEWED, **more}, one)] == []
    assert [one for one in no if holds({**VIEWED, **more}, one)] == []


ABANDONED = {
    "op": "sequence",
    "steps": [
        {"event": "Viewed", "times": 2, "within": "7 days"},
        {"event": "Bought", "not": True, "within": "1 hour"},
    ],
}


@pytest.mark.parametrize(
    ("viewed", "bought", "expected"),
    [
        ([2 * HOUR, HOUR], [], True),
        ([2 * HOUR, HOUR - 1], [], False),  # the hour is not over
        ([2 * HOUR, 2 * HOUR], [HOUR + 1], False),
        ([2 * HOUR, 2 * HOUR], [HOUR], True),  # an hour later is not within the hour
        ([3 * HOUR, 2 * HOUR], [3 * HOUR - 1], True),  # before they had viewed twice
        ([8 * DAY, HOUR], [], False),  # not within seven days
        (
            [6 * DAY, 3 * HOUR, 2 * HOUR],
            [90 * MINUTE],
            True,
        ),  # nothing until two hours ago
    ],
)
def test_viewed_twice_in_seven_days_and_did_not_buy_within_an_hour(
    viewed: list[int], bought: list[int], *, expected: bool
) -> None:
    one = Someone(
        happened={"Viewed": sorted(NOW - ago for ago in viewed), "Bought": sorted(NOW - ago for ago in bought)}
    )
    assert holds(ABANDONED, one) is expected


def test_a_sequence_holds_for_as_long_as_it_says() -> None:
    tree = {**ABANDONED, "within": "1 day"}
    one = did(2 * HOUR, HOUR)
    assert holds(tree, one, NOW)
    assert holds(tree, one, NOW + DAY - 1)
    assert not holds(tree, one, NOW + DAY)
    assert changing(parse(tree), look)(one, NOW) == NOW + DAY  # type: ignore[misc]  # it changes


@pytest.mark.parametrize(
    ("value", "lately", "long_ago"),
    [
        (times.to_text(NOW - DAY + 1), True, False),
        (times.to_text(NOW - DAY), False, True),
        (times.to_text(NOW + DAY), True, False),
        ("yesterday", False, False),
        (None, False, False),
        (5, False, False),
    ],
)
def test_how_long_ago_something_was(value: Any, *, lately: bool, long_ago: bool) -> None:
    one = Someone({"seen": value})
    assert holds({"op": "within_last", "trait": "seen", "value": "1 day"}, one) is lately
    assert holds({"op": "longer_ago", "attribute": "seen", "value": "1 day"}, one) is long_ago


def test_of_many_identifiers_one_is_enough() -> None:
    both, none = Someone(identifiers=["a@x.at", "b@y.de"]), Someone()
    said = {"identifier": "email", "value": "a@x.at"}
    assert holds({"op": "eq", **said}, both)
    assert not holds({"op": "ne", **said}, both)
    assert holds({"op": "ne", **said}, none)
    assert holds({"op": "ends_with", "identifier": "email", "value": ".de"}, both)
    assert holds({"op": "exists", "identifier": "email"}, both)
    assert not holds({"op": "exists", "identifier": "email"}, none)


def test_what_was_not_said_is_no_consent_and_no_refusal() -> None:
    yes, no = ({"op": "eq", "consent": "mail", "value": value} for value in (True, False))
    assert (holds(yes, Someone()), holds(no, Someone())) == (False, False)
    assert (holds(yes, Someone(consents={"mail": True})), holds(no, Someone(consents={"mail": False}))) == (True, True)


def test_an_audience_is_looked_into() -> None:
    rich, members = parse({"op": "gte", "trait": "spent", "value": 2}), {"op": "member", "audience": "rich"}
    check = compiled(parse({"op": "not", "of": members}), look, {"rich": rich})
    assert (check(Someone({"spent": 1}), NOW), check(Someone({"spent": 2}), NOW)) == (True, False)


def test_texts_and_lists_contain() -> None:
    of = {"op": "contains", "trait": "seen"}
    assert holds({**of, "value": "b"}, Someone({"seen": "abc"}))
    assert holds({**of, "value": "b"}, Someone({"seen": ["a", "b"]}))
    assert holds({**of, "value": 1.0}, Someone({"seen": ["a", 1]}))
    assert not holds({**of, "value": "b"}, Someone({"seen": ["abc"]}))
    assert not holds({**of, "value": 1}, Someone({"seen": "1"}))


def counted_by_hand(tree: dict[str, Any], one: Someone, now: int) -> bool:
    """What `did` means, in other words than those of the code."""
    within = spans.parse(tree["within"]) if "within" in tree else None
    happened = [at for at in one.happened.get(tree["event"], ()) if within is None or now - at < within]
    said = tree.get("times", 1)
    if isinstance(said, int):
        return len(happened) >= said
    if "exactly" in said:
        return bool(len(happened) == said["exactly"])
    return bool(said.get("at_least", 0) <= len(happened) <= said.get("at_most", 10**6))


@LAWS
@given(DID, PEOPLE, st.integers(0, 200))
def test_did_is_what_one_counts_by_hand(tree: dict[str, Any], one: Someone, later: int) -> None:
    now = NOW + later * SECOND
    assert holds(tree, one, now) is counted_by_hand(tree, one, now)


def stepped_by_hand(tree: dict[str, Any], one: Someone, now: int) -> bool:
    """What a sequence means: any choice of moments, one for each step, that fits."""
    choices: list[Sequence[tuple[int, ...] | None]] = []
    for step in tree["steps"]:
        moments = list(one.happened.get(step["event"], ()))
        choices.append(
            [None] if step.get("not") else [tuple(chosen) for chosen in _picks(moments, step.get("times", 1))]
        )
    outer = spans.parse(tree["within"]) if "within" in tree else None
    for choice in product(*choices):
        end = _walk(tree["steps"], choice, one, now)
        if end is not None and (outer is None or now - end < outer):
            return True
    return False


def _picks(moments: list[int], count: int) -> list[tuple[int, ...]]:
    """Moments that stand next to each other: the events are counted one by one."""
    return [tuple(moments[place : place + count]) for place in range(len(moments) - count + 1)]


def _walk(steps: list[dict[str, Any]], choice: tuple[Any, ...], one: Someone, now: int) -> int | None:
    end: int | None = None
    for step, chosen in zip(steps, choice, strict=True):
        within = spans.parse(step["within"]) if "within" in step else None
        if chosen is None:
            assert end is not None
            assert within is not None
            if any(end < at < end + within for at in one.happened.get(step["event"], ())) or end + within > now:
                return None
            end += within
            continue
        if end is not None:
            # The next events after the step before, none left out.
            if chosen[0] <= end or any(end < at < chosen[0] for at in one.happened[step["event"]]):
                return None
            if within is not None and chosen[-1] - end >= within:
                return None
        elif within is not None and chosen[-1] - chosen[0] >= within:
            return None
        end = chosen[-1]
    return end


@LAWS
@given(STEPS, PEOPLE, st.integers(0, 200))
def test_a_sequence_is_what_one_finds_by_hand(tree: dict[str, Any], one: Someone, later: int) -> None:
    now = NOW + later * SECOND
    assert holds(tree, one, now) is stepped_by_hand(tree, one, now)


@LAWS
@given(TREES, PEOPLE)
def test_nothing_changes_before_it_is_due(tree: dict[str, Any], one: Someone) -> None:
    condition = parse(tree)
    check, due = compiled(condition, look), changing(condition, look)
    instants = [NOW + seconds * SECOND + more for seconds in range(200) for more in (0, SECOND // 2)]
    for now, later in pairwise(instants):
        if check(one, now) != check(one, later):
            assert due is not None
            at = due(one, now)
            assert at is not None
            assert now < at <= later


@LAWS
@given(TREES)
def test_a_condition_is_told_as_it_was_read(tree: dict[str, Any]) -> None:
    condition = parse(tree)
    assert parse(as_tree(condition)) == condition


@LAWS
@given(TREES, PEOPLE)
def test_the_reasons_agree_with_the_verdict(tree: dict[str, Any], one: Someone) -> None:
    condition = parse(tree)

    def agrees(node: Explanation) -> None:
        assert node.holds is compiled(node.condition, look)(one, NOW)
        if node.parts:
            verdicts = [part.holds for part in node.parts]
            joined = {"and": all(verdicts), "or": any(verdicts), "not": not verdicts[0]}
            assert node.holds is joined[as_tree(node.condition)["op"]]
        for part in node.parts:
            agrees(part)

    agrees(explain(condition, look, one, NOW))


def test_reasons_name_what_was_found() -> None:
    one = Someone({"spent": 2}, happened={"Viewed": (NOW - DAY, NOW - HOUR)})
    tree = {"op": "or", "of": [{"op": "gt", "trait": "spent", "value": 5}, {**VIEWED, "within": "2 hours"}]}
    spent, viewed = explain(parse(tree), look, one, NOW).parts
    assert (spent.holds, spent.value, spent.changes_at) == (False, 2, None)
    assert (viewed.holds, viewed.value, viewed.changes_at) == (True, (NOW - HOUR,), NOW + HOUR)


_STEP = {"event": EVENTS[0]}


@pytest.mark.parametrize(
    ("tree", "place", "advice"),
    [
        ({"op": "did"}, ".event", "name the event"),
        ({"op": "did", "event": 5}, ".event", "write it as text"),
        ({"op": "did", "event": ""}, ".event", "write it as text"),
        ({"op": "did", "type": "call"}, ".type", "use one of alias, group"),
        ({"op": "did", "type": "identify", "event": "x"}, ".event", "has no name; remove it"),
        ({**VIEWED, "times": 0}, ".times", "write 1 to 1000"),
        ({**VIEWED, "times": True}, ".times", "write a number"),
        ({**VIEWED, "times": "twice"}, ".times", "write a number"),
        ({**VIEWED, "times": {"at_leats": 2}}, ".times.at_leats", "did you mean at_least?"),
        ({**VIEWED, "times": {"exactly": 2, "at_most": 3}}, ".times", "`exactly` stands alone"),
        ({**VIEWED, "times": {"at_least": 3, "at_most": 2}}, ".times", "at most 2 cannot be at least 3"),
        ({**VIEWED, "within": "soon"}, ".within", "write a number and a unit"),
        ({**VIEWED, "within": 7}, ".within", "such as `30 minutes`"),
        ({**VIEWED, "within": "999999 weeks"}, ".within", "ten years at most"),
        ({**VIEWED, "where": {"op": "gt", "trait": "x", "value": 1}}, ".where", "`property: NAME`"),
        ({**VIEWED, "where": {"op": "did", "event": "x"}}, ".where.op", "'did' is no operator"),
        ({"op": "sequence", "steps": [_STEP]}, ".steps", "a list of 2 to 10 steps"),
        ({"op": "sequence", "steps": [_STEP] * 11}, ".steps", "a list of 2 to 10 steps"),
        ({"op": "sequence", "steps": [_STEP, 5]}, ".steps[1]", "expected a step"),
        ({"op": "sequence", "steps": [{**_STEP, "not": True}, _STEP]}, ".steps[0].not", "put that first"),
        ({"op": "sequence", "steps": [_STEP, {**_STEP, "not": True}]}, ".steps[1].within", "`within: 1 hour`"),
        ({"op": "sequence", "steps": [_STEP, {**_STEP, "not": "yes"}]}, ".steps[1].not", "true or false"),
        ({"op": "sequence", "steps": [_STEP, {**_STEP, "absent": True}]}, ".steps[1].absent", "unknown here"),
        (
            {"op": "sequence", "steps": [_STEP, {**_STEP, "not": True, "times": 2, "within": "1 hour"}]},
            ".steps[1].times",
            "remove it",
        ),
        ({"op": "member"}, "", "`audience: NAME` or `group: ID`"),
        ({"op": "member", "audience": "a", "group": "b"}, "", "(one of them)"),
        ({"op": "within_last", "trait": "x", "value": "a while"}, ".value", "write a number and a unit"),
        ({"op": "longer_ago", "identifier": "email", "value": "1 day"}, ".value", "holds a time"),
        ({"op": "contains", "trait": "x", "value": True}, ".value", "wants a text"),
        ({"op": "starts_with", "trait": "x", "value": 5}, ".value", "wants a text"),
        ({"op": "matches", "trait": "x", "value": "(a+)+$"}, ".op", "'matches' is no operator"),
        ({"op": "eq", "consent": "mail", "value": "yes"}, ".value", "`value: true` or `value: false`"),
        ({"op": "gt", "consent": "mail", "value": 1}, ".value", "given or not"),
        ({"op": "eq", "property": "x", "value": 1}, "", "`trait: NAME` or `attribute: NAME`"),
        ({"op": "eq", "trait": "x", "value": "y" * 1001}, ".value", "1000 at most"),
        ({"op": "and", "of": [{"op": "exists", "trait": "x"}] * 501}, ".of[499]", "split the condition"),
    ],
)
def test_every_mistake_is_told_with_its_place_and_what_to_write(tree: Any, place: str, advice: str) -> None:
    with pytest.raises(BadCondition) as caught:
        parse(tree, "spec.where")
    message = str(caught.value)
    assert message.startswith(f"spec.where{place}: ")
    assert advice in message
