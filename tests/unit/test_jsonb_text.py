"""JSON that jsonb cannot hold is found, and said as nearly as it can be."""

from __future__ import annotations

import json

import pytest

from obverse.adapters.postgres.jsonb_text import LONG, clean, force, suspicious

UNSOUND = {
    rb'{"a": "x\u0000y"}': {"a": "x\ufffdy"},
    rb'{"\u0000": [{"b": "\u0000"}]}': {"\ufffd": [{"b": "\ufffd"}]},
    rb'{"a": "\ud83d"}': {"a": "\ufffd"},
    rb'{"a": "\uDE00 \uD83Dx"}': {"a": "\ufffd \ufffdx"},
    rb'{"a": "\ud83d\ud83d\ude00"}': {"a": "\ufffd😀"},
    rb'{"a": "\\\u0000"}': {"a": "\\\ufffd"},
    b'{"a": 1e400000}': {"a": "1e400000"},
    b'{"a": [-0.5E-99999 , 1e+1000]}': {"a": ["-0.5E-99999", "1e+1000"]},
    b'{"a":1e99999999999999999999}': {"a": "1e99999999999999999999"},
}

SOUND = (
    rb'{"a": "\\u0000", "b": "\ud83d\ude00 \u00e9 \""}',
    b'{"a": "1e400000", "id": "e12345", "b": 1e21, "c": -2.5E-7, "d": [0.10, 1e0]}',
    b'{"a": "x, e, y", "\\\\": "\\\\"}',
    b"{}",
)


@pytest.mark.parametrize(("sent", "said"), UNSOUND.items())
def test_the_unsound_is_suspected_and_cleaned(sent: bytes, said: object) -> None:
    assert suspicious(sent)
    assert suspicious(b'{"a":1}' + sent + b'{"b":2}')
    assert json.loads(clean(sent)) == said
    assert json.loads(force(sent)) == said


@pytest.mark.parametrize("sent", SOUND)
def test_the_sound_is_left_alone(sent: bytes) -> None:
    assert clean(sent) == force(sent) == sent


def test_what_most_senders_send_is_not_suspected() -> None:
    ids = b'{"id": "e12345", "other": "1e400000-7", "list": [0.10, -3], "text": "caf\\u00e9 \\n e \\" E", "more": null}'
    assert not suspicious(ids)
    assert not suspicious(b"{}" * 1000)


def test_digits_without_an_exponent_are_refused_only_where_numeric_ends() -> None:
    for digits, fits in ((LONG, True), (131_072, True), (131_073, False)):
        assert (clean(b"[" + b"9" * digits + b"]")[1:2] == b"9") is fits
    for digits, fits in ((LONG, True), (16_383, True), (16_384, False)):
        assert (clean(b"[0." + b"1" * digits + b"]")[1:2] == b"0") is fits


@pytest.mark.parametrize("sent", [b"", b"{", b"\xff", b'{"a": "\xff"}', b"\x00", b"nonsense", b'{"a": }', b"[" * 5000])
def test_anything_is_forced_into_json(sent: bytes) -> None:
    forced = json.loads(force(sent))

    # What is no JSON comes as one text that still shows what was sent.
    shown = sent.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert forced == ({"a": "\N{REPLACEMENT CHARACTER}"} if sent == b'{"a": "\xff"}' else shown)
