"""docs/adding.md, done: a kind of trait, a log and a route in a package of their own, each through its suite."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from textwrap import dedent

import pytest

PACKAGE = {
    "toys.py": '''
        """A toy of each."""
        from dataclasses import dataclass
        from fastapi import APIRouter
        from obverse.adapters.memory.event_log import MemoryLogSettings
        from obverse.adapters.memory.event_log import open_event_log as open_memory
        from obverse.core.traits.kind import Takes

        class Longest:
            """The longest text; of two as long, the smaller."""
            takes = Takes.VALUE
            in_place = False
            plain = True
            def start(self): return None
            def add(self, state, value, stamp): return self.merge(state, value if isinstance(value, str) else None)
            def merge(self, one, other):
                if one is None or other is None: return other if one is None else one
                return min(one, other, key=lambda text: (-len(text), text))
            def read(self, state): return state
            def pack(self, state): return state
            def unpack(self, packed): return packed

        @dataclass(frozen=True, slots=True, kw_only=True)
        class ToyLogSettings:
            workspace: str = "main"
            partitions: int = 1
            label: str = ""

        async def open_event_log(settings: ToyLogSettings, runtime):
            return await open_memory(
                MemoryLogSettings(workspace=settings.workspace, partitions=settings.partitions), runtime
            )

        def routes(parts):
            router = APIRouter()
            @router.get("/v1/toy")
            async def toy() -> dict[str, int]:
                return {"now": parts.runtime.now()}
            return router
    ''',
    "test_toys.py": '''
        """Their proofs."""
        import pytest
        from hypothesis import strategies as st
        from obverse.adapters.runtime.system import SystemRuntime
        from obverse.contracts.event_log import EventLogContract
        from obverse.contracts.trait_kind import TraitKindContract
        from obverse.settings import read_settings
        from obverse.wiring import find, routes, trait_kinds, wire
        from toys import Longest, ToyLogSettings, open_event_log

        class Shifted(SystemRuntime):
            shift = 0
            def now(self):
                return super().now() + self.shift

        class TestLongest(TraitKindContract):
            kind = Longest()
            def values(self):
                return st.text("ab", max_size=3)
            def unusable(self):
                return st.none() | st.integers()

        class TestToyLog(EventLogContract):
            @pytest.fixture
            async def log(self):
                self.runtime = Shifted()
                log = await open_event_log(ToyLogSettings(partitions=2), self.runtime)
                yield log
                await log.close()
            async def reopen(self, log):
                return log.crash()
            def shift_clock(self, seconds):
                self.runtime.shift += round(seconds * 1_000_000)

        def test_they_are_found_by_name():
            assert isinstance(trait_kinds()["longest"], Longest)
            assert find("event_log", "toy") is open_event_log
            assert "toys" in {route.__module__ for route in routes()}

        async def test_the_settings_file_fills_the_logs_own_table():
            settings = read_settings({}).model_copy(
                update={"event_log": {"adapter": "toy", "toy": {"label": "x"}}, "partitions": 3}
            )
            log = await wire(settings).event_log()
            assert log.partitions == 3
    ''',
    "toys-1.0.dist-info/METADATA": """
        Metadata-Version: 2.1
        Name: toys
        Version: 1.0
    """,
    "toys-1.0.dist-info/entry_points.txt": """
        [obverse.trait_kind]
        longest = toys:Longest
        [obverse.event_log]
        toy = toys:open_event_log
        [obverse.route]
        toy = toys:routes
    """,
}

PYTEST_INI = """
    [pytest]
    asyncio_mode = auto
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package as `pip install` would have left it."""
    for name, text in {**PACKAGE, "pytest.ini": PYTEST_INI}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text).lstrip())
    return tmp_path


async def run(package: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_toy_of_each_passes_its_suite(package: Path) -> None:
    code, said = await run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_toys.py")

    assert code == 0, said
    assert "passed" in said.splitlines()[-1]


async def test_a_toy_that_is_no_monoid_fails_its_suite(package: Path) -> None:
    path = package / "toys.py"
    path.write_text(path.read_text().replace("return min(one, other, key", "return one or min(one, other, key"))

    code, said = await run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_toys.py", "-k", "TestLongest")

    assert code == 1, said


async def test_the_page_says_each_in_about_ten_lines() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adding.md").read_text()
    parts = page.split("\n## ")[1:]

    assert [part.splitlines()[0] for part in parts] == ["A kind of trait", "A log", "A route"]
    assert all(len([line for line in part.splitlines() if line.strip()]) <= 13 for part in parts)
