"""Write keys: made, rotated and retired, in a file that people write in too."""

from __future__ import annotations

from pathlib import Path

import pytest

from obverse.adapters.definition_files import read_folder
from obverse.apps.sources import NoSuchSource, add_source, new_key, retire_keys, rotate_key
from obverse.core.definitions import Source
from obverse.wiring import hash_key, trait_kinds


def source(folder: Path) -> Source:
    (found,) = read_folder(folder, trait_kinds()).sources
    return found


def test_a_key_has_32_random_bytes_behind_its_prefix() -> None:
    assert new_key().startswith("wk_")
    assert len(new_key()) == 3 + 43
    assert new_key() != new_key()


def test_two_keys_open_during_a_rotation_and_then_the_new_one_alone(tmp_path: Path) -> None:
    add_source(tmp_path, "web", "one")
    rotate_key(tmp_path, "web", "two")
    assert source(tmp_path).key_hashes == {hash_key("one"), hash_key("two")}
    rotate_key(tmp_path, "web", "three")
    assert source(tmp_path).key_hashes == {hash_key("two"), hash_key("three")}
    retire_keys(tmp_path, "web")
    assert source(tmp_path).key_hashes == {hash_key("three")}


@pytest.mark.parametrize(
    "keys",
    [
        "write_key_hashes: []",
        "write_key_hashes: [{0}]",
        "write_key_hashes:\n    - {0}  # the first",
        "write_key_hashes:\n  - {0}",
    ],
)
def test_what_a_person_wrote_around_the_keys_stays(tmp_path: Path, keys: str) -> None:
    path = tmp_path / "sources" / "web.yml"
    path.parent.mkdir()
    head = "# our shop\nversion: obverse/v1\nkind: source\nmetadata: {name: web}\nspec:\n  enabled: true  # for now\n  "
    tail = "\n  # bots are not customers\n  bots: drop\n"
    path.write_text(head + keys.format(hash_key("one")) + tail, encoding="utf-8")
    before = source(tmp_path).key_hashes
    rotate_key(tmp_path, "web", "two")
    text = path.read_text(encoding="utf-8")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert source(tmp_path).key_hashes == {*before, hash_key("two")}
    assert source(tmp_path).drops_bots
    assert [one.name for one in path.parent.iterdir()] == ["web.yml"]


@pytest.mark.parametrize("text", [None, "", "spec: {}", "spec: [", "a: b\n---\nc: d", "spec: {write_key_hashes: x}"])
def test_a_source_that_cannot_be_written_is_told(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "sources" / "web.yml"
    path.parent.mkdir()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(NoSuchSource, match=r"web\.yml"):
        rotate_key(tmp_path, "web", "two")
    assert text is None or path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("write_key_hashes: [abc]", "spec.write_key_hashes[0]"),
        ("allowed_origins: [shop.example]", "spec.allowed_origins[0]"),
        ("allowed_origins: ['https://shop.example/path']", "spec.allowed_origins[0]"),
        ("limits: {event_bytes: 5}", "spec.limits.event_bytes"),
        ("limits: {requests_per_second: 0}", "spec.limits.requests_per_second"),
        ("limits: {speed: 5}", "spec.limits"),
        ("bots: eat", "spec.bots"),
        (f"write_key_hashes: [{'a' * 64}, {'b' * 64}, {'c' * 64}]", "spec.write_key_hashes"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, spec: str, place: str) -> None:
    path = tmp_path / "web.yml"
    head = "version: obverse/v1\nkind: source\nmetadata: {name: web}\nspec:\n  "
    path.write_text(head + spec, encoding="utf-8")
    with pytest.raises(ValueError, match=r"web\.yml") as told:
        source(tmp_path)
    assert place in str(told.value)
    assert "`allowed_origins` such as https://shop.example" in str(told.value)


def test_a_sources_own_rules_are_read(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(
        "version: obverse/v1\nkind: source\nmetadata: {name: web, description: The shop}\nspec:\n"
        "  allowed_origins: ['https://shop.example', 'http://localhost:3000']\n"
        "  limits: {event_bytes: 2048, batch_bytes: 4096, batch_items: 10, requests_per_second: 5}\n  bots: drop\n",
        encoding="utf-8",
    )
    web = source(tmp_path)
    assert web.origins == {"https://shop.example", "http://localhost:3000"}
    assert web.limits == {"event_bytes": 2048, "batch_bytes": 4096, "batch_items": 10}
    assert (web.requests_per_second, web.drops_bots, web.description) == (5, True, "The shop")
