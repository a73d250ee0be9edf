"""How a cache in Redis is chosen and told where it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from obverse.adapters.redis.cache import RedisProfileCache
from obverse.settings import BadSettings, Settings, read_settings
from obverse.wiring import wire


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OBVERSE_PROFILE_CACHE__ADAPTER", "redis")
    monkeypatch.delenv("REDIS_URL", raising=False)
    return monkeypatch


async def opened(settings: Settings) -> RedisProfileCache:
    cache = await wire(settings).profile_cache()
    assert isinstance(cache, RedisProfileCache)
    return cache


@pytest.mark.usefixtures("chosen")
async def test_it_is_on_this_machine_unless_something_else_is_said() -> None:
    cache = await opened(read_settings())

    assert cache._settings.place == "redis://127.0.0.1:6379"
    assert cache._settings.workspace == "main"
    await cache.close()


async def test_the_usual_variable_says_where_it_is(chosen: pytest.MonkeyPatch) -> None:
    chosen.setenv("REDIS_URL", "redis://:hush@redis-1/2")

    settings = read_settings()
    cache = await opened(settings)

    assert "hush" not in repr(settings)
    assert cache._settings.url == "redis://:hush@redis-1/2"
    await cache.close()


@pytest.mark.parametrize("variable", ["REDIS_URL_FILE", "OBVERSE_PROFILE_CACHE__REDIS__URL_FILE"])
async def test_where_it_is_may_stand_in_a_file(chosen: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    (tmp_path / "url").write_text("redis://:hush@redis-1/2\n")
    chosen.setenv(variable, str(tmp_path / "url"))

    cache = await opened(read_settings())

    assert cache._settings.url == "redis://:hush@redis-1/2"
    await cache.close()


async def test_its_own_table_goes_before_the_usual_variable(chosen: pytest.MonkeyPatch) -> None:
    chosen.setenv("REDIS_URL", "redis://redis-1/2")
    chosen.setenv("OBVERSE_PROFILE_CACHE__REDIS__URL", "redis://redis-2/2")
    chosen.setenv("OBVERSE_PROFILE_CACHE__REDIS__EXPIRY_SECONDS", "60")

    cache = await opened(read_settings())

    assert (cache._settings.place, cache._settings.expiry_seconds) == ("redis://redis-2:6379", 60)
    await cache.close()


async def test_another_cache_does_not_mind_the_variable(chosen: pytest.MonkeyPatch) -> None:
    chosen.setenv("REDIS_URL", "redis://redis-1")
    chosen.setenv("OBVERSE_PROFILE_CACHE__ADAPTER", "memory")

    await (await wire(read_settings()).profile_cache()).close()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REDIS_URL", "redis-1", r"\[profile_cache\.redis\]: .*url is no address of a Redis"),
        ("OBVERSE_PROFILE_CACHE__REDIS__LEASE", "1", r"\[profile_cache\.redis\] has no setting 'lease'; it knows"),
        ("OBVERSE_PROFILE_CACHE__REDIS__LEASE_MS", "soon", r"\[profile_cache\.redis\]: Expected `int`"),
        ("OBVERSE_PROFILE_CACHE__ADAPTER", "rediss", "profile_cache.adapter is 'rediss', but only these"),
    ],
)
async def test_what_cannot_be_used_is_told(chosen: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    chosen.setenv(name, value)

    with pytest.raises(BadSettings, match=told):
        await wire(read_settings()).profile_cache()


@pytest.mark.parametrize("lacking", ["redis", "hiredis"])
def test_without_the_extra_it_says_what_to_install(lacking: str) -> None:
    bare = (
        f"import sys; sys.modules['{lacking}'] = None\nfrom obverse.wiring import find\nfind('profile_cache', 'redis')"
    )

    asked = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=False)

    assert f"profile_cache.adapter is 'redis', which needs {lacking}: install obverse[redis]" in asked.stderr
