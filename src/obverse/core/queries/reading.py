"""
A query as somebody wrote it, held against what may be asked.

It is one SELECT over the tables of `TABLES`, with functions that compute and reach for nothing. What is not known to be
harmless is refused. What is returned is written anew from what was checked: no other reading of the text is ever run.
"""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from obverse.core.conditions import did_you_mean
from obverse.core.queries import TABLES, BadQuery, check_columns

Node = exp.Expr
LONGEST: Final = 20_000
"""Characters."""
_FORBIDDEN: Final[tuple[type[Node], ...]] = (
    exp.DML,
    exp.DDL,
    exp.Command,
    exp.Into,
    exp.Lock,
    exp.Parameter,
    exp.Placeholder,
    exp.SessionParameter,
)
_FUNCTIONS: Final = frozenset(
    """
    abs acos age and any_value approx_distinct array array_agg array_all array_any array_append array_cat array_contains
    array_contains_all array_length array_lower array_overlaps array_position array_prepend array_remove array_size
    array_to_json array_to_string array_upper ascii asin atan atan2 avg bool_and bool_or btrim cardinality case cast cbrt
    ceil ceiling char_length character_length chr coalesce concat concat_ws contains corr cos count countif covar_pop
    covar_samp cume_dist current_date current_time current_timestamp date date_add date_bin date_diff date_part date_sub
    date_trunc datediff day decode degrees dense_rank div encode ends_with every exists exp explode extract factorial filter
    first first_value floor format gen_random_uuid generate_series exploding_generate_series greatest group_concat grouping
    if initcap json_agg json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
    json_each json_each_text json_extract json_extract_path json_extract_path_text json_extract_scalar json_object_agg
    json_object_keys json_typeof j_s_o_n_array j_s_o_n_array_agg j_s_o_n_object j_s_o_n_object_agg jsonb_agg
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_contains
    jsonb_each jsonb_each_text jsonb_exists jsonb_extract jsonb_extract_path jsonb_extract_path_text jsonb_extract_scalar
    jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first
    jsonb_strip_nulls jsonb_typeof j_s_o_n_b_contains_all_top_keys j_s_o_n_b_contains_any_top_keys
    j_s_o_n_b_contains_top_key j_s_o_n_b_object_agg j_s_o_n_b_path_exists justify_days justify_hours justify_interval lag
    last last_value lead least left length ln localtime localtimestamp log log10 logical_and logical_or lower lpad ltrim
    make_date make_interval make_timestamp make_timestamptz max md5 median min mod mode month mul nth_value ntile now nullif
    number_to_str octet_length or overlay pad percent_rank percentile_cont percentile_disc pi position pow power quantile
    radians random range_n rank regexp_count regexp_extract regexp_i_like regexp_instr regexp_like regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy replace reverse right round row_number row_to_json rpad
    rtrim sign sin split_part sqrt starts_with statement_timestamp stddev stddev_pop stddev_samp str_position str_to_date
    str_to_time string_agg string_to_array strpos substr substring sum tan time_to_str time_to_unix timestamp
    timestamp_trunc to_char to_date to_json to_jsonb to_number to_timestamp transaction_timestamp translate trim trunc
    try_cast unix_to_time unnest upper var_pop var_samp variance variance_pop width_bucket xor year
    """.split()
)


def read_query(text: str) -> str:
    """
    Return a query as it is run.

    Raises:
        BadQuery: with the line and column, and what may be asked.
    """
    tree = _parsed(text)
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise BadQuery(f"line 1, column 1: this is no SELECT; {_ADVICE}")
    for node in tree.walk():
        _check(node)
    names = tree.named_selects
    if not any(name in {"", "*"} for name in names):
        try:
            check_columns(tuple(names))
        except BadQuery as error:
            raise BadQuery(f"line 1, column 1: {error}") from error
    return tree.sql(dialect="postgres", comments=False)


def _parsed(text: str) -> Node:
    if len(text) > LONGEST:
        raise BadQuery(f"line 1, column 1: {len(text)} characters; {LONGEST} at most")
    try:
        parsed = [one for one in sqlglot.parse(text, read="postgres") if one is not None]
    except ParseError as error:
        first = error.errors[0]
        near = f" near {first['highlight']!r}" if first.get("highlight") else ""
        place = f"line {first['line']}, column {first['col']}"
        raise BadQuery(f"{place}: this is no SQL{near}; {_ADVICE}") from error
    except (TokenError, RecursionError) as error:
        raise BadQuery(f"line 1, column 1: this cannot be read as SQL ({type(error).__name__}); {_ADVICE}") from error
    if len(parsed) != 1:
        raise BadQuery(f"line 1, column 1: expected one statement, not {len(parsed)}; {_ADVICE}")
    return parsed[0]


_ADVICE: Final = "write one SELECT, which may have WITH and UNION, over " + ", ".join(TABLES)


def _check(node: Node) -> None:
    """Refuse a node that is not known to be harmless."""
    if isinstance(node, _FORBIDDEN):
        what = "a parameter" if isinstance(node, exp.Parameter | exp.Placeholder) else "no part of a query that only reads"
        raise BadQuery(f"{_place(node)}: `{_said(node)}` is {what}; {_ADVICE}")
    if isinstance(node, exp.Table):
        _check_table(node)
    elif isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        raise BadQuery(f"{_place(node)}: write functions without their schema, and not `{_said(node)}`")
    elif isinstance(node, exp.Func):
        names = {node.name.lower()} if isinstance(node, exp.Anonymous) else {one.lower() for one in node.sql_names()}
        if not names & _FUNCTIONS:
            name = min(names)
            raise BadQuery(f"{_place(node)}: function {name!r} cannot be used here{did_you_mean(name, _FUNCTIONS)}")


def _check_table(node: exp.Table) -> None:
    if not isinstance(node.this, exp.Identifier):
        return  # a function in the place of a table: it is looked at as one
    name = node.name if node.this.quoted else node.name.lower()
    if node.args.get("db") or node.args.get("catalog"):
        raise BadQuery(f"{_place(node)}: write tables without their schema, and not `{_said(node)}`")
    if name not in TABLES and name not in _named_above(node):
        hint = did_you_mean(name, TABLES)
        raise BadQuery(f"{_place(node)}: there is no table {name!r} to read{hint}; use {', '.join(TABLES)}")


def _named_above(node: Node) -> set[str]:
    """The names that WITH gives to queries where a node stands: a query does not see its own, nor those after it."""
    found: set[str] = set()
    child, parent = node, node.parent
    while parent is not None:
        if isinstance(parent, exp.With):
            ones = parent.expressions
            within = next(place for place, one in enumerate(ones) if one is child)
            found.update(map(_name, ones if parent.args.get("recursive") else ones[:within]))
        elif isinstance(parent, exp.Query) and not isinstance(child, exp.With):
            found.update(map(_name, parent.ctes))
        child, parent = parent, parent.parent
    return found


def _name(node: Node) -> str:
    named = node.args["alias"].this
    return named.name if named.quoted else named.name.lower()


def _said(node: Node) -> str:
    text = node.sql(dialect="postgres")
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - characters of a message


def _place(node: Node) -> str:
    for one in node.walk():
        if "line" in one.meta:
            return f"line {one.meta['line']}, column {one.meta['col'] - (one.meta['end'] - one.meta['start'])}"
    return "line 1, column 1"
