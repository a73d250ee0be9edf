"""Hostile YAML is refused with a place, in no time, and without a traceback."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from definition_steps import CHECKS, ORDERS, flaws_of, put
from obverse.adapters.definition_files.yaml_documents import MOST_BYTES, read_documents
from obverse.adapters.definition_files.yaml_text import as_yaml
from obverse.contracts.lattice import LAWS
from obverse.core.documents.checking import check
from obverse.core.flaws import RULES

NAUGHTY: list[str] = json.loads(Path("tests/data/blns/blns.json").read_text(encoding="utf-8"))
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(f'*{old}' for _ in range(10))}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n" + "".join(f"a{n}: &a{n} [[[[[[[[*a{n - 1}]]]]]]]]\n" for n in range(1, 200))


@pytest.mark.parametrize(
    ("data", "line", "rule", "what"),
    [
        (b"[" * 100_000, 1, "OB005", "nested deeper than 128 levels"),
        (b"{a: " * 5_000, 1, "OB005", "nested deeper than 128 levels"),
        (b"- " * 5_000, 1, "OB005", "nested deeper than 128 levels"),
        ("\n".join(f"{' ' * n}a:" for n in range(500)).encode(), 129, "OB005", "nested deeper"),
        (LAUGHS.encode(), 6, "OB005", "more than 200000 values, with what aliases repeat"),
        (CHAIN.encode(), 16, "OB005", "nested deeper than 128 levels by an alias"),
        (b"a: &a {b: *a}", 1, "OB005", "`*a` stands in what it names"),
        (b"x" * (MOST_BYTES + 1), 1, "OB005", "split it"),
        (b"[" + b"1," * 300_000 + b"1]", 1, "OB005", "more than 200000 values"),
        (b"a: !!python/object/apply:os.system ['true']", 1, "OB006", "means nothing here"),
        (b"? {a: b}\n: c", 1, "OB006", "cannot be a name"),
        (b"a: " + b"9" * 10_000, 1, "OB006", "is no number of JSON"),
        (b"a: !!bool maybe", 1, "OB006", "'maybe' is neither true nor false"),
        (b"!!bool x: 1", 1, "OB006", "'x' is neither true nor false"),
        (b"a: !!int ''", 1, "OB006", "'' is no number of JSON"),
        (b"a: !!int '-'", 1, "OB006", "'-' is no number of JSON"),
        (b"a: !!float '_'", 1, "OB006", "'_' is no number of JSON"),
        (b"a: 1\n<<: b", 2, "OB006", "`<<` takes in mappings alone"),
        (b"a: &a {b: 1}\n<<: [*a, 1]", 2, "OB006", "`<<` takes in mappings alone"),
        ("\u00e4\u00f6: \u00fc\u00e4\n\u00f6: \x07\nx: y".encode(), 2, "OB002", "control characters are not allowed"),
        (b"a: \x1b[31m", 1, "OB002", "control characters are not allowed"),
        (b"\x00\x00\x00", 1, "OB002", "control characters are not allowed"),
        (b'a: "\\ud800"', 1, "OB002", "invalid Unicode character escape code"),
        (b"%YAML 9.9\n---\na: b", 1, "OB002", "incompatible YAML document"),
        (b"%TAG ! tag:x,2000:\n---\na: !b c", 3, "OB006", "means nothing here"),
        (b"a: b\n...\n%", 3, "OB002", ""),
        (b"\xff\xfe\x00", 1, "OB001", "save the file as UTF-8"),
        (b"a: " + "\U000e0001".encode() + b"\xf0\x28", 1, "OB001", "save the file as UTF-8"),
    ],
)
def test_what_nobody_would_write_is_refused_with_its_place(data: bytes, line: int, rule: str, what: str) -> None:
    began = time.process_time()
    _, flaws = read_documents(data, "hostile.yml")
    assert time.process_time() - began < 5
    assert (flaws[0].line, flaws[0].rule) == (line, rule)
    assert what in flaws[0].what
    assert flaws[0].column > 0


def is_plain(name: str) -> bool:
    """Whether a text is a name as it stands."""
    ascii_alone = all(one.isascii() and (one.isalnum() or one in "_.-") for one in name)
    return 0 < len(name) <= 100 and ascii_alone and name[0].isalnum()


def test_a_naughty_string_is_a_name_or_is_refused_with_its_place(tmp_path: Path) -> None:
    for place, naughty in enumerate(NAUGHTY):
        text = as_yaml(
            {"version": "obverse/v1", "kind": "trait", "metadata": {"name": naughty}, "spec": {"aggregate": "count"}}
        )
        found = [str(one)[:23] for one in flaws_of(put(tmp_path / str(place), quoted=text))]
        assert found == ([] if is_plain(naughty) else ["quoted.yml:4:9: OB015 m"]), naughty
        assert text.split("\n")[3].startswith("  name: ")


def test_a_naughty_string_without_quotes_is_read_or_refused_with_a_place(tmp_path: Path) -> None:
    for place, naughty in enumerate(NAUGHTY):
        text = f"version: obverse/v1\nkind: trait\nmetadata:\n  name: {naughty}\nspec: {{aggregate: count}}\n"
        for flaw in flaws_of(put(tmp_path / str(place), bare=text)):
            assert (flaw.file, flaw.rule in RULES) == ("bare.yml", True), naughty
            assert min(flaw.line, flaw.column) >= 1, naughty


@pytest.mark.parametrize("field", ["version", "kind", "event", "aggregate", "description"])
def test_a_naughty_string_in_any_field_is_taken_or_refused_with_its_place(field: str) -> None:
    for naughty in NAUGHTY:
        tree: dict[str, Any] = {"version": "obverse/v1", "kind": "trait"}
        tree["metadata"], tree["spec"] = {"name": "orders", "description": ""}, {"aggregate": "count", "event": "X"}
        (tree if field in tree else tree["metadata"] if field in tree["metadata"] else tree["spec"])[field] = naughty
        documents, flaws = read_documents(as_yaml(tree).encode(), "a.yml")
        checked = check(documents, CHECKS)
        assert flaws == [], naughty
        assert bool(checked.flaws) == (field in {"version", "kind", "aggregate"}), naughty
        assert all(one.line > 0 and one.column > 1 for one in checked.flaws), naughty


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates()
_trees = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["version", "kind", "metadata", "name", "spec", "where", "op", "of", "fields"]) | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@LAWS
@given(_trees, st.sampled_from(["trait", "audience", "source", "connection", "template", "campaign", "identity"]))
def test_whatever_a_document_holds_it_is_told_with_a_place(tree: Any, kind: str) -> None:
    head = {"version": "obverse/v1", "kind": kind, "metadata": {"name": "a"}}
    for one in (tree, {**head, "spec": tree}, {**head, "metadata": tree, "spec": {}}):
        documents, flaws = read_documents(yaml.safe_dump(one).encode(), "a.yml")
        found = [*flaws, *check(documents, CHECKS).flaws]
        assert all(flaw.line > 0 and flaw.column > 0 and flaw.rule in RULES for flaw in found)


@LAWS
@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"\n\t a#?%@`<", max_size=60).map(str.encode))
def test_whatever_a_file_holds_it_is_told_with_a_place(data: bytes) -> None:
    documents, flaws = read_documents(data, "a.yml")
    assert documents or flaws
    assert all(flaw.line > 0 and flaw.column > 0 and flaw.rule in RULES for flaw in flaws)
    check(documents, CHECKS)


def test_a_good_file_is_read_as_yaml_is_read() -> None:
    documents, flaws = read_documents(ORDERS.encode(), "a.yml")
    assert [one.tree for one in documents] == list(yaml.safe_load_all(ORDERS))
    assert flaws == []


@LAWS
@given(_trees)
def test_what_is_read_is_what_yaml_means(tree: Any) -> None:
    text = yaml.safe_dump(tree)
    documents, flaws = read_documents(text.encode(), "a.yml")
    if not flaws:
        assert [one.tree for one in documents] == [yaml.safe_load(text)]
