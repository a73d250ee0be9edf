"""Bodies as they are packed, and what webhooks say in them."""

from __future__ import annotations

import gzip
import time
import zlib

import msgspec
import pytest

from obverse.apps.collector.packing import TooMuch, unpacked, webhook_body

MOST = 100_000


def test_parts_of_gzip_that_follow_each_other_are_one_body() -> None:
    """RFC 1952, 2.2: whoever packs as it goes writes several."""
    for parts in ([b'{"a":', b"1}"], [b'{"a":1}', b""], [b"{", b'"a":', b"1", b"}"]):
        assert unpacked(b"".join(map(gzip.compress, parts)), b"gzip", MOST) == b"".join(parts)
    assert unpacked(gzip.compress(b"{}") + b"\0\0", b"gzip", MOST) == b"{}"


@pytest.mark.parametrize("end", [b"\x1f\x8b", gzip.compress(b"x", mtime=0)[:-9], b"\x1f\x8bjunk"])
def test_a_part_that_is_cut_short_or_none_is_told(end: bytes) -> None:
    with pytest.raises(zlib.error):
        unpacked(gzip.compress(b"{}") + end, b"gzip", MOST)


def test_many_parts_cost_no_time_and_no_memory() -> None:
    began = time.process_time()
    with pytest.raises(zlib.error, match="in more than 50 parts"):
        unpacked(gzip.compress(b"") * 25_000, b"gzip", MOST)
    with pytest.raises(TooMuch) as told:
        unpacked(gzip.compress(bytes(MOST)) * 3, b"gzip", MOST)
    assert len(told.value.start) == MOST + 1
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"userId":null,"a":1}', b"application/json"),
        (b'{"userId":"","a":1}', b"application/json"),
        (b"userId=&a=1", b"application/x-www-form-urlencoded"),
    ],
)
def test_an_empty_id_of_a_webhook_does_not_hide_the_one_in_its_address(body: bytes, kind: bytes) -> None:
    told = msgspec.json.decode(webhook_body(b"userId=ada", body, kind))
    assert told["userId"] == "ada"
    assert "anonymousId" not in told
