"""Conditions of every sort, for laws: persons as they are looked at, and trees that look at them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from obverse.core import times
from obverse.core.conditions import Events, Need
from obverse.core.traits.occurrences import Occurrences

SECOND: Final = 1_000_000
NOW: Final = 1_735_689_600 * SECOND
"""2025-01-01."""
EVENTS: Final = ("Viewed", "Bought")
LATEST: Final = 60
"""Seconds before `NOW` in which everything happens."""


@dataclass(frozen=True)
class Someone:
    """A person, as conditions look at one."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """Of traits and attributes alike."""
    identifiers: Collection[str] = ()
    """Values of the kind `email`."""
    consents: Mapping[str, bool] = field(default_factory=dict)
    groups: Collection[str] = ()
    happened: Mapping[str, Collection[int]] = field(default_factory=dict)
    """By event, when."""


def look(subject: str, name: Any) -> Callable[[Someone], Any]:
    """Readers of `Someone`; what is remembered of events is bounded as it is in a profile."""
    match subject:
        case "identifier":
            return lambda one: list(one.identifiers) if name == "email" else []
        case "consent":
            return lambda one: one.consents.get(name)
        case "group":
            return lambda one: name in one.groups
        case "occurrences":
            return lambda one: _remembered(one, name)
        case _:
            return lambda one: one.values.get(name)


def _remembered(one: Someone, need: Need) -> tuple[int, ...]:
    kind = Occurrences(need.keep, need.horizon)
    state = kind.start()
    for at in _moments(one, need.events):
        state = kind.merge(state, (at,))
    return state


def _moments(one: Someone, events: Events) -> Collection[int]:
    return one.happened.get(events.event or "", ())


MOMENTS: Final = st.lists(st.integers(0, LATEST).map(lambda ago: NOW - ago * SECOND), max_size=6).map(sorted).map(tuple)
PEOPLE: Final[SearchStrategy[Someone]] = st.builds(
    Someone,
    st.fixed_dictionaries(
        {},
        optional={
            "spent": st.integers(0, 3),
            "city": st.sampled_from(["Wien", "Berlin", "Bern", ""]),
            "seen": st.integers(0, LATEST).map(lambda ago: times.to_text(NOW - ago * SECOND)) | st.just("lately"),
        },
    ),
    st.lists(st.sampled_from(["ada@example.com", "bob@example.org"]), unique=True),
    st.fixed_dictionaries({}, optional={"mail": st.booleans()}),
    st.sets(st.sampled_from(["acme", "globex"])),
    st.fixed_dictionaries({}, optional=dict.fromkeys(EVENTS, MOMENTS)),
)

_SPANS: Final = st.integers(1, LATEST).map(lambda seconds: f"{seconds} seconds")
_WITHIN: Final = st.fixed_dictionaries({}, optional={"within": _SPANS})
_EVENT: Final = st.sampled_from(EVENTS)
_COUNTS: Final = st.integers(1, 3)


def _joined(*parts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


DID: Final[SearchStrategy[dict[str, Any]]] = st.builds(
    lambda event, times_, within: _joined({"op": "did", "event": event}, times_, within),
    _EVENT,
    st.one_of(
        st.just({}),
        _COUNTS.map(lambda count: {"times": count}),
        st.integers(0, 2).map(lambda count: {"times": {"at_most": count}}),
        st.integers(0, 2).map(lambda count: {"times": {"exactly": count}}),
        _COUNTS.map(lambda count: {"times": {"at_least": count, "at_most": count + 1}}),
    ),
    _WITHIN,
)
_DONE: Final = st.builds(
    lambda event, count, within: _joined({"event": event}, {"times": count} if count > 1 else {}, within),
    _EVENT,
    st.integers(1, 2),
    _WITHIN,
)
_NOT_DONE: Final = st.builds(lambda event, within: {"event": event, "not": True, "within": within}, _EVENT, _SPANS)
STEPS: Final[SearchStrategy[dict[str, Any]]] = st.builds(
    lambda first, then, within: _joined({"op": "sequence", "steps": [first, *then]}, within),
    _DONE,
    st.lists(_DONE | _NOT_DONE, min_size=1, max_size=3),
    _WITHIN,
)
TESTS: Final[SearchStrategy[dict[str, Any]]] = st.one_of(
    st.builds(
        lambda op, value: {"op": op, "trait": "spent", "value": value},
        st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]),
        st.integers(0, 3),
    ),
    st.builds(
        lambda op, value: {"op": op, "attribute": "city", "value": value},
        st.sampled_from(["eq", "ne", "gt", "contains", "starts_with", "ends_with"]),
        st.sampled_from(["Wien", "Ber", "n", "%", "it's", '"', "\\_"]),
    ),
    st.lists(st.sampled_from(["Wien", 1, True, "it's"]), max_size=3).map(
        lambda value: {"op": "in", "attribute": "city", "value": value}
    ),
    st.sampled_from(["spent", "seen", "odd name; '\"--"]).map(lambda name: {"op": "exists", "trait": name}),
    st.builds(
        lambda op, value: {"op": op, "trait": "seen", "value": value},
        st.sampled_from(["within_last", "longer_ago"]),
        _SPANS,
    ),
    st.builds(
        lambda op, value: {"op": op, "identifier": "email", "value": value},
        st.sampled_from(["eq", "ne", "contains"]),
        st.sampled_from(["ada@example.com", "example"]),
    ),
    st.builds(
        lambda op, value: {"op": op, "consent": "mail", "value": value}, st.sampled_from(["eq", "ne"]), st.booleans()
    ),
    st.sampled_from(["acme", "globex"]).map(lambda name: {"op": "member", "group": name}),
)
LEAVES: Final = TESTS | DID | STEPS
TREES: Final[SearchStrategy[dict[str, Any]]] = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda op, of: {"op": op, "of": of}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        )
        | inner.map(lambda of: {"op": "not", "of": of})
    ),
    max_leaves=5,
)
