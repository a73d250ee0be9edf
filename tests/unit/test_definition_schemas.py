"""Editors complete and check documents by JSON Schemas, which are made of the shapes that documents are read with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from definition_steps import BUYERS, CHECKS, ORDERS, PLAN, SPENT
from obverse.core.documents import SPECS
from obverse.core.documents.schemas import schemas

SCHEMAS = schemas(CHECKS.kinds)
DEMO = sorted(Path("src/obverse/apps/demo/definitions").rglob("*.yml"))


def one_of_all() -> Any:
    """The schema of any kind, with those that it refers to beside it."""
    return jsonschema_rs.validator_for(
        SCHEMAS["definition"], retriever=lambda address: SCHEMAS[address.rpartition("/")[2].partition(".")[0]]
    )


def test_every_kind_has_one() -> None:
    assert SCHEMAS.keys() == {*SPECS, "definition"}


@pytest.mark.parametrize("text", [ORDERS, SPENT, BUYERS, PLAN, *(path.read_text(encoding="utf-8") for path in DEMO)])
def test_a_good_document_is_good_to_an_editor_too(text: str) -> None:
    tree = yaml.safe_load(text)
    for validator in (jsonschema_rs.validator_for(SCHEMAS[tree["kind"]]), one_of_all()):
        assert [error.message for error in validator.iter_errors(tree)] == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (ORDERS.replace("v1", "v2"), ["version"]),
        (ORDERS.replace("event", "evnt"), ["spec"]),
        (ORDERS.replace("count", "cuont"), ["spec", "aggregate"]),
        (SPENT.replace("sum", "percentile, percentile: 195"), ["spec", "percentile"]),
        (PLAN.replace('"1.0"', "1.0"), ["spec", "version"]),
        (ORDERS.replace("kind: trait", "kind: trate"), ["kind"]),
    ],
)
def test_a_mistake_is_told_in_the_editor(text: str, place: list[str]) -> None:
    found = [list(one.instance_path) for one in one_of_all().iter_errors(yaml.safe_load(text))]
    assert place in found
