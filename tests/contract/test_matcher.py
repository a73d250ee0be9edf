"""Every matcher keeps its promises."""

from __future__ import annotations

import pytest

from obverse.adapters.memory.matcher import MemoryMatcherSettings
from obverse.adapters.memory.matcher import open_matcher as open_memory
from obverse.adapters.runtime.system import open_runtime
from obverse.adapters.splink import SplinkSettings, open_matcher
from obverse.contracts.matcher import MatcherContract
from obverse.ports.matcher import Matcher


class TestMemoryMatcher(MatcherContract):
    @pytest.fixture
    async def matcher(self) -> Matcher:
        return await open_memory(MemoryMatcherSettings(), open_runtime())


@pytest.mark.service  # no server, but seconds of each test
class TestSplinkMatcher(MatcherContract):
    @pytest.fixture
    async def matcher(self) -> Matcher:
        return await open_matcher(SplinkSettings(threads=1), open_runtime())
