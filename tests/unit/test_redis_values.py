"""What is kept in Redis is read back as it was written, or not at all; and what is set wrongly says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.adapters.redis import RedisCacheSettings, open_profile_cache
from obverse.adapters.redis.values import (
    TAG,
    Absent,
    asked,
    coded,
    first_of,
    owner_value,
    profile_in,
    profile_value,
    read_owner,
    read_profile,
)
from obverse.adapters.runtime.system import open_runtime
from obverse.core.identity import id_name

KEYS = st.binary(max_size=40)
TAGS = st.binary(min_size=TAG, max_size=TAG)
IDS = st.binary(min_size=16, max_size=16)
NAMES = st.text(min_size=1, max_size=30)


@given(KEYS, TAGS, NAMES, st.binary(max_size=200))
def test_a_profile_comes_back(key: bytes, tag: bytes, name: str, packed: bytes) -> None:
    assert read_profile(key, tag, profile_value(key, tag, coded(name), packed)) == (coded(name), packed)


@given(KEYS, TAGS, IDS)
def test_an_owner_comes_back(key: bytes, tag: bytes, one: bytes) -> None:
    assert read_owner(key, tag, owner_value(key, tag, one)) == one


@given(st.data(), KEYS, TAGS, st.binary(max_size=60))
def test_one_changed_byte_is_noticed(data: st.DataObject, key: bytes, tag: bytes, packed: bytes) -> None:
    value = bytearray(profile_value(key, tag, b"user_id:ada", packed))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))

    assert isinstance(read_profile(key, tag, bytes(value)), Absent)


@given(st.data(), KEYS, TAGS, st.binary(max_size=60))
def test_what_was_cut_is_noticed(data: st.DataObject, key: bytes, tag: bytes, packed: bytes) -> None:
    value = profile_value(key, tag, b"user_id:ada", packed)

    assert read_profile(key, tag, value[: data.draw(st.integers(0, len(value) - 1))]) is Absent.DAMAGED


@given(KEYS, TAGS, st.binary(max_size=100))
def test_any_bytes_are_no_profile(key: bytes, tag: bytes, value: bytes) -> None:
    assert isinstance(read_profile(key, tag, value), Absent)
    assert isinstance(read_owner(key, tag, value), Absent)


@given(TAGS, IDS)
def test_another_key_another_tag_another_kind_is_noticed(tag: bytes, one: bytes) -> None:
    value = profile_value(b"here", tag, b"user_id:ada", b"packed")

    assert read_profile(b"there", tag, value) is Absent.DAMAGED
    assert read_profile(b"here", bytes(reversed(tag)) + b"", value) in {Absent.STALE, (b"user_id:ada", b"packed")}
    assert read_owner(b"here", tag, value) is Absent.DAMAGED
    assert read_profile(b"here", tag, owner_value(b"here", tag, one)) is Absent.DAMAGED


def test_who_is_asked_for_by_id_must_own_the_first_identifier() -> None:
    tag, ada, bob = b"t" * TAG, b"a" * 16, b"b" * 16
    profile = profile_value(b"w:p:" + ada, tag, b"user_id:ada", b"packed")
    name = b"p:" + ada

    def owner(one: bytes) -> bytes:
        return owner_value(b"w:i:user_id:ada", tag, one)

    assert profile_in(b"w:", tag, name, profile, owner(ada)) == b"packed"
    assert profile_in(b"w:", tag, name, profile, owner(bob)) is None
    assert profile_in(b"w:", tag, name, profile, None) is None
    assert profile_in(b"w:", tag, name, profile, b"x") is Absent.DAMAGED
    nameless = profile_value(b"w:p:" + ada, tag, b"", b"packed")
    assert profile_in(b"w:", tag, name, nameless, None) == b"packed"


def test_names_that_nobody_can_have_are_not_asked_for() -> None:
    assert asked("") is None
    assert asked("user_id:" + "x" * 60_000) is None
    assert asked(id_name(bytes(16))) == b"p:" + bytes(16)
    assert asked("id:no-uuid") == b"i:id:no-uuid"
    assert asked("user_id:\ud800") == b"i:user_id:\xed\xa0\x80"
    assert first_of([b"x" * 60_001, b"user_id:ada"]) == b"user_id:ada"
    assert first_of([]) == b""


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no scheme": ({"url": "redis-1:6379"}, r"url is no address of a Redis: write it as redis://redis-1:6379/0"),
    "another scheme": ({"url": "https://:hush@redis-1"}, r"url is no address"),
    "no text": ({"url": ""}, r"url is no address"),
    "no host": ({"url": "redis://"}, r"url names no host"),
    "no socket": ({"url": "unix://"}, r"url names no socket"),
    "a port that is none": ({"url": "redis://:hush@redis-1:port"}, r"url is no address"),
    "a database that is none": ({"url": "redis://:hush@redis-1/main"}, r"'/main' is no number of a database"),
    "an option that is none": ({"url": "redis://:hush@redis-1/0?retries=5"}, r"has the option 'retries'.*ssl_ca_certs"),
    "an option without sense": ({"url": "redis://:hush@redis-1/0?db=x"}, r"url is no address"),
    "a file that is not there": ({"password_file": "/no/such/file"}, r"password_file: /no/such/file cannot be read"),
    "TLS's file without TLS": ({"ca_file": "/ca.pem"}, r"ca_file is set, and the url has no TLS: .*rediss://"),
    "a prefix with a colon": ({"prefix": "a:b"}, r"prefix is 'a:b': use letters"),
    "an empty prefix": ({"prefix": ""}, r"prefix is ''"),
    "no lease": ({"lease_ms": 0}, r"lease_ms is 0: it is 100 at least"),
    "no patience": ({"patience_ms": 0}, r"patience_ms is 0: it is 1 at least"),
    "no expiry": ({"expiry_seconds": 0}, r"expiry_seconds is 0: it is 1 at least"),
    "no batch": ({"batch_profiles": 0}, r"batch_profiles is 0: it is 1 at least"),
}


@pytest.mark.parametrize(("given", "told"), BAD.values(), ids=BAD.keys())
async def test_a_setting_that_cannot_be_used_says_so(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        await open_profile_cache(RedisCacheSettings(**given), open_runtime())

    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://user:hush@redis-1:7000/3", "redis://redis-1:7000"),
        ("rediss://redis-1", "rediss://redis-1:6379"),
        ("redis://[::1]:6379/0", "redis://::1:6379"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock"),
    ],
)
async def test_messages_name_the_place_without_its_password(url: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    settings = RedisCacheSettings(url=url)

    cache = await open_profile_cache(settings, open_runtime())

    assert settings.place == place
    assert "hush" not in repr(settings)
    await cache.close()
