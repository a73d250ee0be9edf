"""Everything that is found by name is there, and has a test that proves it keeps its port's promises."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from obverse import wiring

TESTS = Path(__file__).parents[1] / "contract"
WITHOUT_SUITE = {"route", "engine_host"}
"""
Routes promise nothing but their place in the API's document, to which a test of the API holds them. What a host of an
engine folds, the suite of engines proves.
"""


def ours(group: str) -> list[EntryPoint]:
    """Return our own entry points of a group."""
    return [point for point in entry_points(group=f"obverse.{group}") if point.module.startswith("obverse.")]


def points(*, with_suite: bool = False) -> list[object]:
    return [
        pytest.param(group, point, id=f"{group}-{point.name}")
        for group in wiring.GROUPS
        if not (with_suite and group in WITHOUT_SUITE)
        for point in ours(group)
    ]


def test_every_group_is_known_and_has_entries() -> None:
    declared = {group for group in entry_points().groups if group.startswith("obverse.")}
    assert declared == {f"obverse.{group}" for group in wiring.GROUPS}
    assert all(ours(group) for group in wiring.GROUPS)


@pytest.mark.parametrize(("group", "point"), points())
def test_every_entry_point_resolves(group: str, point: EntryPoint) -> None:
    assert callable(point.load()), group


# Which tests there are.


@dataclass
class Proofs:
    """What the files of a folder test: classes, whom they derive from, and what they and their helpers mention."""

    bases: dict[str, set[str]] = field(default_factory=dict)
    """Class -> names of all that it derives from. Names are dotted, with the module that they come from."""
    mentions: dict[str, set[str]] = field(default_factory=dict)
    """Class -> all that it mentions, itself or through functions and classes of its file."""

    def proves(self, suite: str, target: str) -> bool:
        """Whether a class derives from the suite and mentions the target."""
        return any(suite in bases and target in self.mentions[name] for name, bases in self.bases.items())


def proofs_in(folder: Path) -> Proofs:
    found = Proofs()
    for path in sorted(folder.glob("test_*.py")):
        _read(path.stem, ast.parse(path.read_text(encoding="utf-8")), found)
    return found


def _read(module: str, tree: ast.Module, found: Proofs) -> None:
    names = _imported(tree)
    parts: dict[str, ast.stmt] = {}
    for part in tree.body:
        match part:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                parts[name] = part
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                parts[name] = part
    for name, part in parts.items():
        if isinstance(part, ast.ClassDef) and name.startswith("Test"):
            full = f"{module}.{name}"
            found.bases[full] = _bases(part, parts, names)
            found.mentions[full] = _mentions(name, parts, names)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for, dotted."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    return names


def _dotted(node: ast.AST, names: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, names)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _bases(part: ast.ClassDef, parts: Mapping[str, ast.stmt], names: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for base in part.bases:
        dotted = _dotted(base, names)
        if dotted is not None:
            found.add(dotted)
        parent = parts.get(base.id) if isinstance(base, ast.Name) else None
        if isinstance(parent, ast.ClassDef):
            found |= _bases(parent, parts, names)
    return found


def _mentions(start: str, parts: Mapping[str, ast.stmt], names: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for node in ast.walk(parts[name]):
            dotted = _dotted(node, names)
            if dotted is not None:
                found.add(dotted)
            if isinstance(node, ast.Name) and node.id in parts and node.id not in seen:
                waiting.append(node.id)
            if isinstance(node, ast.arg) and node.arg in parts and node.arg not in seen:
                waiting.append(node.arg)  # a fixture
    return found


@pytest.fixture(scope="module")
def proofs() -> Proofs:
    return proofs_in(TESTS)


def suite_of(group: str) -> str:
    """Return the suite of a port, dotted."""
    return f"obverse.contracts.{group}.{group.title().replace('_', '')}Contract"


@pytest.mark.parametrize(("group", "point"), points(with_suite=True))
def test_every_entry_point_has_a_test_of_its_ports_suite(proofs: Proofs, group: str, point: EntryPoint) -> None:
    suite = suite_of(group)
    module, _, name = suite.rpartition(".")
    assert hasattr(import_module(module), name)
    assert proofs.proves(suite, f"{point.module}.{point.attr}"), (
        f"obverse.{group}: {point.name} has no test: derive a class from {name} in tests/contract and let it open "
        f"{point.value}"
    )


MADE = """
from obverse.adapters.brand import log as brand
from obverse.adapters.other import open_log as open_other
from obverse.contracts.event_log import EventLogContract

async def opened(settings):
    return await brand.open_log(settings)

class TestBrand(EventLogContract):
    async def open(self):
        return await opened(None)

class TestOther(TestBrand):
    open_it = open_other

class TestNothing:
    open_it = open_other
"""


def test_a_missing_test_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "test_brand.py").write_text(MADE, encoding="utf-8")
    suite, brand, other = (
        suite_of("event_log"),
        "obverse.adapters.brand.log.open_log",
        "obverse.adapters.other.open_log",
    )
    found = proofs_in(tmp_path)
    assert found.proves(suite, brand)
    assert found.proves(suite, other)
    assert not found.proves(suite, "obverse.adapters.third.open_log")
    assert not found.proves(suite_of("engine"), brand)

    for lost, target in (("return await opened(None)", brand), ("TestOther(TestBrand)", other)):
        rest = MADE.replace(lost, "pass" if "return" in lost else "TestOther")
        (tmp_path / "test_brand.py").write_text(rest, encoding="utf-8")
        assert not proofs_in(tmp_path).proves(suite, target)


# What a command costs.

HEAVY = ("aiohttp", "asyncpg", "fastapi", "pydantic", "prometheus_client", "starlette", "uvicorn", "yaml")

HELP = """
import sys
sys.argv = ["obverse", "--help"]
from obverse.apps.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print("modules:", *sys.modules)
"""


def test_help_imports_nothing_that_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True, timeout=60)
    told, _, modules = done.stdout.rpartition("modules:")
    assert "Usage" in told
    assert "typer" in modules.split()
    assert [name for name in modules.split() if name.partition(".")[0] in HEAVY] == []


def test_an_adapter_whose_package_is_lacking_says_what_to_install() -> None:
    asked = "import sys; sys.modules['pyarrow'] = None\nfrom obverse.wiring import find\nfind('archive', 'parquet')"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert "BadSettings: archive.adapter is 'parquet', which needs pyarrow: install obverse[warehouse]" in done.stderr
