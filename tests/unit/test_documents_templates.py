"""A template that cannot be filled in is refused when its file is read, with the place and what to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from obverse.adapters.definition_files import read_folder
from obverse.core.definitions import BadDefinition

GOOD = {"subject": "Hello", "from": "shop@example.com", "text": "Hello {{ customer.name }}"}


def read(folder: Path, **spec: Any) -> None:
    document = {"version": "obverse/v1", "kind": "template", "metadata": {"name": "welcome"}, "spec": {**GOOD, **spec}}
    (folder / "welcome.yml").write_text(yaml.safe_dump(document))
    read_folder(folder, {})


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"text": "Hello\n{{ customer.name }"}, ["spec.text", "line 2"]),
        ({"text": "{% if customer.name %}Hello"}, ["spec.text", "line 1"]),
        ({"subject": "{{ customer.name"}, ["spec.subject", "line 1"]),
        ({"mjml": "<mjml><mj-body>\n<mj-section></mj-body></mjml>"}, ["spec.mjml", "line 2"]),
        ({"mjml": "<mjml>\n\u00fc</mjml>"}, ["spec.mjml", "line 1, column 7"]),
        ({"mjml": "<mjml><mj-body>"}, ["spec.mjml", "line 1"]),
        ({"subject": "Hello\nBcc: everybody@example.com"}, ["spec.subject", "line break"]),
        ({"from": "shop@example.com\r\nBcc: x@example.com"}, ["spec.from", "line break"]),
    ],
)
def test_a_flaw_is_told_with_its_place(tmp_path: Path, spec: dict[str, str], told: list[str]) -> None:
    read(tmp_path)

    with pytest.raises(BadDefinition) as refused:
        read(tmp_path, **spec)

    assert all(one in str(refused.value) for one in ["welcome.yml", *told]), str(refused.value)
