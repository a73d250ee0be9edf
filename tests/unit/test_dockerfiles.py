"""The images of `deploy/`: what they copy is there, what they build on has a version, and none of them runs as root."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy_steps import DEPLOY, PINNED, ROOT

FILES: Final = sorted([DEPLOY / "Dockerfile", *DEPLOY.glob("*.Dockerfile")])
NAMES: Final = [path.name for path in FILES]


def instructions(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each instruction with its words, continued lines put together."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        yield name, rest.split()


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_what_is_copied_is_there(path: Path) -> None:
    engine = path.name.partition(".")[0]
    if path.suffix and not (ROOT / f"requirements-{engine}.lock").exists():
        pytest.skip(f"the engine {engine} is not in this checkout")
    stages = {words[2] for name, words in instructions(path) if name == "FROM" and len(words) == 3}
    for name, words in instructions(path):
        if name != "COPY":
            continue
        flags = {word for word in words if word.startswith("--")}
        (origin,) = {flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")} or {""}
        assert not origin or origin in stages, origin
        for source in [] if origin else [word for word in words if word not in flags][:-1]:
            assert (ROOT / source).exists(), f"{path.name} copies {source}"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_is_copied_that_is_kept_out(path: Path) -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"]
    for name, words in instructions(path):
        if name == "COPY" and not any(word.startswith("--from") for word in words):
            for source in words[:-1]:
                assert any(Path(source).parts[0] == one or Path(source).match(one) for one in let_in), source


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_what_it_builds_on_has_a_version(path: Path) -> None:
    stages: set[str] = set()
    for name, words in instructions(path):
        if name == "FROM":
            assert words[0] in stages or PINNED.match(words[0].rpartition(":")[2]), words[0]
            stages |= set(words[2:3])


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_does_not_run_as_root(path: Path) -> None:
    told = list(instructions(path))
    last = max(place for place, (name, _) in enumerate(told) if name == "FROM")
    users = [words[0] for name, words in told[last:] if name == "USER"]
    assert users, "it says nothing of who runs it"
    assert all(user.isdigit() and int(user) > 0 for user in users), (
        "Kubernetes wants a number to see that it is not root"
    )


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_everything_that_is_installed_is_in_a_lock(path: Path) -> None:
    for name, words in instructions(path):
        command = " ".join(words)
        for part in command.split("&&") if name == "RUN" else ():
            if "pip install" in part:
                assert "--require-hashes" in part or "--constraints requirements.lock" in part, part


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_brings_what_its_settings_name(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [words[0].removeprefix("EXTRAS=") for name, words in instructions(path) if name == "ARG"]
    assert extras == ["kafka,redis"]
    if lacking := set(extras[0].split(",")) - set(project["optional-dependencies"]):
        pytest.skip(f"{', '.join(sorted(lacking))} is not in this checkout")
