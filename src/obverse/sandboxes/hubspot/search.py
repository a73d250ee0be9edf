"""Answers searches: /crm/v3/objects/contacts/search."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from obverse.sandboxes.hubspot.answers import Ask, Refusal, Reply, invalid
from obverse.sandboxes.hubspot.contacts import show
from obverse.sandboxes.hubspot.definitions import Definition
from obverse.sandboxes.hubspot.shapes import as_object, as_text, as_texts, need, optional_text, read_body, whole
from obverse.sandboxes.hubspot.store import Contact, Store
from obverse.sandboxes.hubspot.values import milliseconds

# See https://developers.hubspot.com/docs/api-reference/search/guide
MOST_GROUPS: Final = 5
MOST_FILTERS: Final = 6
MOST_FILTERS_IN_ALL: Final = 18
MOST_RESULTS: Final = 10_000
LARGEST_PAGE: Final = 200
LONGEST_QUERY: Final = 3_000
_LONGEST_SEARCHED: Final = 4_096
_SEARCHED: Final = ("firstname", "lastname", "email", "phone", "hs_additional_emails", "fax", "mobilephone", "company")
_TOKENS: Final = re.compile(r"\w+")

Key = tuple[int, float, str]
Test = Callable[[Contact], bool]


class Search:
    """Answers searches over the contacts that are not archived."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def search(self, ask: Ask) -> Reply:
        """POST /crm/v3/objects/contacts/search."""
        body = read_body(ask)
        names = as_texts(body.get("properties")) or None
        limit = whole(optional_text(body, "limit"), "limit", default=10, least=1, most=LARGEST_PAGE)
        start = whole(optional_text(body, "after"), "after", default=0, least=0, most=MOST_RESULTS)
        if start + limit > MOST_RESULTS:
            raise invalid(f"Paging beyond {MOST_RESULTS} results is not supported: after + limit is {start + limit}")
        query = (optional_text(body, "query") or "").casefold()
        if len(query) > LONGEST_QUERY:
            raise invalid(f"The query has {len(query)} characters; the most is {LONGEST_QUERY}")
        groups = self._read_groups(body)
        by, backwards = self._read_sort(body)
        found = [
            contact
            for contact in self._store.contacts()
            if (not groups or any(all(test(contact) for test in group) for group in groups))
            and all(word in _words_of(contact) for word in query.split())
        ]
        if by is not None:
            # A contact without the value comes last, whichever the direction.
            valued = [one for one in found if one.value(by.name)]
            valued.sort(key=lambda one: _key(one.value(by.name), by), reverse=backwards)
            found = [*valued, *(one for one in found if not one.value(by.name))]
        end = start + limit
        reply: dict[str, Any] = {"total": len(found), "results": [show(one, names) for one in found[start:end]]}
        if end < len(found):
            reply["paging"] = {"next": {"after": str(end)}}
        return Reply(200, reply)

    def _read_groups(self, body: Mapping[str, Any]) -> Sequence[Sequence[Test]]:
        groups = _array(body, "filterGroups")
        read = [[self._read_filter(as_object(one)) for one in _array(as_object(group), "filters")] for group in groups]
        # A list of filters beside the groups is one group more.
        alone = [self._read_filter(as_object(one)) for one in _array(body, "filters")]
        read += [alone] if alone else []
        if len(read) > MOST_GROUPS:
            raise _problem(f"too many filterGroups: {len(read)}; the most is {MOST_GROUPS}")
        if any(len(group) > MOST_FILTERS for group in read) or sum(map(len, read)) > MOST_FILTERS_IN_ALL:
            raise _problem(f"too many filters: the most is {MOST_FILTERS} in a group and {MOST_FILTERS_IN_ALL} in all")
        return read

    def _read_filter(self, one: Mapping[str, Any]) -> Test:
        need(one, "Filter", "propertyName", "operator")
        definition = self._definition(as_text(one["propertyName"]))
        operator = as_text(one["operator"])
        name = definition.name
        match operator:
            case "HAS_PROPERTY":
                return lambda contact: bool(contact.value(name))
            case "NOT_HAS_PROPERTY":
                return lambda contact: not contact.value(name)
            case "IN" | "NOT_IN":
                need(one, "Filter", "values")
                keys = {_key(value, definition) for value in as_texts(one["values"])}
                if not keys:
                    raise _problem(f"operator {operator} needs values")
                return _valued(name, lambda value: (_key(value, definition) in keys) is (operator == "IN"))
            case "BETWEEN":
                need(one, "Filter", "value", "highValue")
                low, high = _key(as_text(one["value"]), definition), _key(as_text(one["highValue"]), definition)
                return _valued(name, lambda value: low <= _key(value, definition) <= high)
            case "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN":
                need(one, "Filter", "value")
                wanted = _pattern(as_text(one["value"]))
                return _valued(name, lambda value: _contains(value, wanted) is (operator == "CONTAINS_TOKEN"))
        need(one, "Filter", "value")
        return _comparison(operator, definition, as_text(one["value"]))

    def _read_sort(self, body: Mapping[str, Any]) -> tuple[Definition | None, bool]:
        """The property to sort by, and whether backwards: `lastname`, `-lastname`, or an object."""
        given = _array(body, "sorts")
        if len(given) > 1:
            raise _problem("only one sort is supported")
        if not given:
            return None, False
        if isinstance(given[0], dict):
            need(given[0], "Sort", "propertyName")
            direction = optional_text(given[0], "direction") or "ASCENDING"
            if direction not in {"ASCENDING", "DESCENDING"}:
                raise _problem(f"direction {direction[:50]} is not ASCENDING or DESCENDING")
            return self._definition(as_text(given[0]["propertyName"])), direction == "DESCENDING"
        name = as_text(given[0])
        return self._definition(name.removeprefix("-")), name.startswith("-")

    def _definition(self, name: str) -> Definition:
        definition = self._store.definitions.get(name)
        if definition is None:
            raise _problem(f'Property "{name[:200]}" does not exist', code="PROPERTY_DOESNT_EXIST", name=name[:200])
        return definition


def _comparison(operator: str, definition: Definition, value: str) -> Test:
    right = _key(value, definition)
    compare: dict[str, Callable[[Key], bool]] = {
        "EQ": lambda left: left == right,
        "NEQ": lambda left: left != right,
        "LT": lambda left: left < right,
        "LTE": lambda left: left <= right,
        "GT": lambda left: left > right,
        "GTE": lambda left: left >= right,
    }
    if operator not in compare:
        raise _problem(f"operator {operator[:50]} is not supported")
    return _valued(definition.name, lambda found: compare[operator](_key(found, definition)))


def _valued(name: str, test: Callable[[str], bool]) -> Test:
    """A test of a value: a contact without one never passes it."""
    return lambda contact: bool(contact.value(name)) and test(contact.value(name))


def _key(value: str, definition: Definition) -> Key:
    """What values are compared by: numbers and moments by size, texts without regard to case."""
    if definition.type in {"date", "datetime"}:
        at = milliseconds(value)
        if at is not None:
            return (0, at, "")
    if definition.type == "number":
        try:
            return (0, float(value), "")
        except ValueError:
            pass
    return (1, 0, value.casefold())


def _pattern(value: str) -> re.Pattern[str]:
    """A token in which a star stands for any characters."""
    # At most two stars: more would let a pattern take time without end.
    pieces = [re.escape(piece) for piece in value.casefold().split("*", 2)]
    return re.compile(".*".join(pieces))


def _contains(value: str, wanted: re.Pattern[str]) -> bool:
    # The beginning will do: two stars in a text without end take time.
    text = value[:_LONGEST_SEARCHED].casefold()
    return any(wanted.fullmatch(token) for token in (text, *_TOKENS.findall(text)))


def _words_of(contact: Contact) -> str:
    return " ".join(contact.value(name) for name in _SEARCHED).casefold()


def _array(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    given = body.get(name)
    if given is None:
        return ()
    if not isinstance(given, list):
        raise invalid(f"Invalid input JSON: {name} is not an array")
    return given


def _problem(message: str, *, code: str = "INVALID_SEARCH", name: str | None = None) -> Refusal:
    context = {"context": {"propertyName": [name]}} if name else {}
    error = {"message": message, "code": code, **context}
    return invalid("There was a problem with the request.", errors=[error])
