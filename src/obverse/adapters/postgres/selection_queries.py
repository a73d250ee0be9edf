"""
The SQL of selections: conditions as predicates.

A statement is put together from the texts in this file alone; every name and value of a condition is a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from obverse.adapters.postgres.binary_rows import tidy
from obverse.adapters.postgres.event_log_rows import from_micros
from obverse.core import json_values, times
from obverse.core.conditions import Condition, Did, Events, Every, Member, Not, Some, Test
from obverse.core.conditions.evaluation import MOMENT
from obverse.core.conditions.parsing import MOST_TIMES

SETTLE: Final = "set local timezone = 'UTC'; set local work_mem = '64MB'"
"""Times without a zone are UTC; and room for some sets."""

NUMBERED: Final = """
select known, state from public.customer_profiles
where number = any ($2::bigint[]) and workspace_id = $1 and merged_into is null
order by array_position($2::bigint[], number)
"""
"""The profiles of some numbers."""


class Parameters:
    """The parameters of a statement; the first is the workspace."""

    def __init__(self, workspace: str) -> None:
        self.given: list[Any] = [workspace]

    def add(self, value: Any, kind: str) -> str:
        """Take one more; return what stands for it."""
        self.given.append(value)
        return f"${len(self.given)}::{kind}"

    def json(self, value: Any) -> str:
        """Take a value as JSON."""
        return self.add(tidy(json_values.encode(value).decode()), "jsonb")

    def text(self, value: str) -> str:
        """Take a text."""
        return self.add(tidy(value), "text")


MOST: Final = 20
"""Predicates of one run."""


def run(wanted: Sequence[str]) -> str:
    """
    One run over everybody: the number of each, and behind it a bit for each of these predicates, the first lowest.

    One array of a million numbers is read in a moment; an array for each predicate would not be.
    """
    bits = "".join(f" + case when {one} then {1 << place} else 0 end" for place, one in enumerate(wanted))
    return (
        f"select array_agg(p.number * {1 << len(wanted)}{bits}) from public.customer_profiles as p "  # noqa: S608 - see above
        "where p.workspace_id = $1 and p.merged_into is null and p.number is not null"
    )


_COLUMNS: Final = {"trait": "p.computed_traits", "attribute": "p.attributes", "consent": "p.consents"}


def of_row(test: Test, values: Parameters, now: int) -> str:
    """A predicate on a profile's row `p`."""
    return _test(test, f"({_COLUMNS[test.subject]} -> {values.text(test.name)})", values, now)


_WITHIN_REACH: Final = (
    f"abs({{0}}::numeric) < 1e{json_values.DIGITS} and min_scale({{0}}::numeric) <= {json_values.REACH}"
)
"""As `json_values.number` has it."""
_ORDERED: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXTS: Final = {"starts_with": "starts_with({text}, {value})", "ends_with": "right({text}, length({value})) = {value}"}


_DAY: Final = 86_400_000_000
_MICROSECONDS: Final = r"regexp_replace({}, '([.][0-9]{{6}})[0-9]+', '\1')"
"""Without the digits of a time that it would round by: Python cuts them off."""


_AS_WE_WRITE: Final = (
    "({0} like '____-__-__T__:__:__Z' and translate({0}, '0123456789', '') = '--T::Z' and substr({0}, 18, 2) < '60' "
    "or {0} like '____-__-__T__:__:__.______Z' and translate({0}, '0123456789', '') = '--T::.Z' "
    "and substr({0}, 18, 2) < '60')"
)
"""Whether a text is a time as we write them: most are, and a regular expression takes ten times as long."""


def _test(test: Test, found: str, values: Parameters, now: int) -> str:
    """A predicate on a value in JSON; never null."""
    op, value = test.op, test.value
    text = f"({found} #>> '{{}}')"
    is_text = f"jsonb_typeof({found}) = 'string'"
    match op:
        case "exists":
            said = f"jsonb_typeof({found}) <> 'null'"
        case "eq" | "ne":
            said = f"{found} = {values.json(value)}"
        case "in":
            said = f"{found} = any ({values.add([_json(one) for one in value if one is not None], 'jsonb[]')})"
        case "contains":
            said = _contains(found, text, value, values)
        case "starts_with" | "ends_with":
            said = f"{is_text} and {_TEXTS[op].format(text=text, value=values.text(value))}"
        case "within_last" | "longer_ago":
            said = _of_time(text, is_text, times.clamp(now - value), values, recent=op == "within_last")
        case _ if isinstance(value, Decimal):
            number = values.add(value, "numeric")
            compared = f"{found}::numeric {_ORDERED[op]} {number} and {_WITHIN_REACH.format(found)}"
            said = f"case when jsonb_typeof({found}) = 'number' then {compared} end"
        case _:
            said = f'{is_text} and {text} collate "C" {_ORDERED[op]} {values.text(value)}'
    return f"({said}) is not true" if op == "ne" else f"({said}) is true"


def _of_time(text: str, is_text: str, since: int, values: Parameters, *, recent: bool) -> str:
    """Whether a text is a time after `since`, or up to it if not `recent`."""
    moment = (
        f"case when {_AS_WE_WRITE.format(text)} then public.moment_of({text}) "
        f"when {is_text} and {text} ~ '^({MOMENT})$' then public.moment_of({_MICROSECONDS.format(text)}) end"
    )
    bound = values.add(from_micros(since), "timestamptz")
    # Whatever its zone, a time is of a day that is a day away at most: most people are told apart by that alone.
    if recent:
        day = values.text(times.to_text(times.clamp(since - _DAY))[:10])
        return f'case when {text} collate "C" >= {day} then ({moment}) > {bound} end'
    day = values.text(times.to_text(times.clamp(since + 2 * _DAY))[:10])
    return f'case when {text} collate "C" < {day} then ({moment}) <= {bound} end'


def _contains(found: str, text: str, value: Any, values: Parameters) -> str:
    in_list = f"jsonb_typeof({found}) = 'array' and {found} @> jsonb_build_array({values.json(value)})"
    if not isinstance(value, str):
        return in_list
    in_text = f"jsonb_typeof({found}) = 'string' and position({values.text(value)} in {text}) > 0"
    return f"case jsonb_typeof({found}) when 'array' then {in_list} else {in_text} end"


def _json(value: Any) -> str:
    return tidy(json_values.encode(value).decode())


_KEEPER: Final = (
    "left join (select id, merged_into from public.customer_profiles where merged_into is not null) as k on k.id = {}"
)
"""Whoever holds now what was merged away: a few rows, found by an index of their own."""


def of_identifiers(test: Test, values: Parameters) -> str:
    """The numbers of those of whose identifiers of a kind one passes; of `ne`, all do."""
    # A semicolon comes after a colon, so all of the kind are between the two.
    beginning, beyond = values.text(f"{test.name}:"), values.text(f"{test.name};")
    value = f"substr(i.identifier, length({beginning}) + 1)"
    op = "eq" if test.op == "ne" else test.op
    match op:
        case "exists":
            said = "true"
        case "eq":
            said = f"{value} = {values.text(test.value)}" if isinstance(test.value, str) else "false"
        case "in":
            said = f"{value} = any ({values.add([tidy(one) for one in test.value if isinstance(one, str)], 'text[]')})"
        case "contains":
            said = f"position({values.text(test.value)} in {value}) > 0" if isinstance(test.value, str) else "false"
        case "starts_with" | "ends_with":
            said = _TEXTS[op].format(text=value, value=values.text(test.value))
        case _:
            # A number is compared with numbers alone, and an identifier is none.
            said = (
                f'{value} collate "C" {_ORDERED[op]} {values.text(test.value)}'
                if isinstance(test.value, str)
                else "false"
            )
    theirs = (
        "select i.profile_id from public.profile_identifiers as i "  # noqa: S608 - see above
        f"where i.workspace_id = $1 and i.identifier >= {beginning} and i.identifier < {beyond} and {said}"
    )
    return (
        "select array_agg(p.number) from public.customer_profiles as p where p.workspace_id = $1 "  # noqa: S608 - as above
        f"and p.merged_into is null and p.id {'not in' if test.op == 'ne' else 'in'} "
        f"(select coalesce(k.merged_into, t.profile_id) from ({theirs}) as t {_KEEPER.format('t.profile_id')})"
    )


def of_audience(member: Member, values: Parameters) -> str:
    """The numbers of those who are in an audience."""
    return (
        "select array_agg(p.number) from public.audience_members as m "  # noqa: S608 - see above
        "join public.customer_profiles as p on p.id = m.profile_id "
        f"where m.workspace_id = $1 and m.audience = {values.text(member.name)} "
        "and p.workspace_id = $1 and p.merged_into is null"
    )


def of_group(member: Member, values: Parameters) -> str:
    """The numbers of those who are members of a group."""
    return (
        "select array_agg(p.number) from public.customer_profiles as p where p.workspace_id = $1 "  # noqa: S608 - see above
        f"and p.groups @> array[{values.text(member.name)}] and cardinality(p.groups) > 0"
    )


_AT: Final = "least(e.timestamp, e.ingested_at)"


def _meant(events: Events, values: Parameters) -> str:
    """A predicate on an event's row `e`."""
    said = [f"e.workspace_id = $1 and e.type = {values.text(events.type)}"]
    if events.event is not None:
        said.append(f"e.name = {values.text(events.event)}")
        if events.type == "track":
            said.append(f"e.event_type = {values.text(events.event[:255])}")
    if events.where is not None:
        said.append(_of_event(events.where, values))
    return " and ".join(said)


def _of_event(condition: Condition, values: Parameters) -> str:
    match condition:
        case Every(parts):
            return "(" + " and ".join(_of_event(part, values) for part in parts) + ")"
        case Some(parts):
            return "(" + " or ".join(_of_event(part, values) for part in parts) + ")"
        case Not(part):
            return f"(not {_of_event(part, values)})"
        case Test():
            return f"({_test(condition, f'(e.properties -> {values.text(condition.name)})', values, 0)})"
        case _:
            raise ValueError(f"{type(condition).__name__} is no condition on an event")


def of_events(did: Did, values: Parameters, now: int) -> str:
    """The numbers of those who did something so many times."""
    said = _meant(did.events, values)
    if did.within is not None:
        said += f" and {_AT} > {values.add(from_micros(times.clamp(now - did.within)), 'timestamptz')}"
    least, most = did.times.least, did.times.most
    enough = [f"count(*) >= {values.add(max(1, least), 'bigint')}"] if least or most is None else []
    if most is not None:
        # Who did it never did it at most so often: those who did it more are left out.
        enough.append(f"count(*) {'<=' if least else '>'} {values.add(most, 'bigint')}")
    counted = (
        "select coalesce(k.merged_into, e.profile_id) as id from public.event_stream as e "  # noqa: S608 - see above
        f"{_KEEPER.format('e.profile_id')} where {said} group by 1 having {' and '.join(enough)}"
    )
    return (
        "select array_agg(p.number) from public.customer_profiles as p where p.workspace_id = $1 "  # noqa: S608 - as above
        f"and p.merged_into is null and p.id {'in' if least or most is None else 'not in'} ({counted})"
    )


def moments(events: Events, values: Parameters) -> str:
    """By number, the latest moments of such events, in order, in microseconds since 1970."""
    return (
        "select p.number, h.moments from (select coalesce(k.merged_into, e.profile_id) as id, "  # noqa: S608 - see above
        f"(array_agg((extract(epoch from {_AT}) * 1000000)::bigint order by {_AT}))"
        f"[greatest(1, count(*) - {values.add(MOST_TIMES - 1, 'bigint')}):] as moments "
        f"from public.event_stream as e {_KEEPER.format('e.profile_id')} "
        f"where {_meant(events, values)} group by 1) as h "
        "join public.customer_profiles as p on p.id = h.id and p.workspace_id = $1 and p.merged_into is null"
    )
