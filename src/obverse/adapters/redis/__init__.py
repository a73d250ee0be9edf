"""Redis or Valkey: profiles as the engine knows them now, readable from every machine."""

from obverse.adapters.redis.cache import open_profile_cache
from obverse.adapters.redis.settings import RedisCacheSettings

__all__ = ["RedisCacheSettings", "open_profile_cache"]
