"""Adapters for the processes of one machine, which speak through Unix sockets."""

from obverse.adapters.local.cache import LocalCacheSettings, open_profile_cache

__all__ = ["LocalCacheSettings", "open_profile_cache"]
