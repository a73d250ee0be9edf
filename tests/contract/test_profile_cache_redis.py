"""The cache in Redis keeps every promise of a `ProfileCache`."""

from __future__ import annotations

import pytest

from obverse.contracts.profile_cache import Opener, ProfileCacheContract
from redis_servers import Place

pytestmark = pytest.mark.service


class TestRedisProfileCache(ProfileCacheContract):
    @pytest.fixture
    def open_cache(self, redis: Place) -> Opener:
        return redis.cache
