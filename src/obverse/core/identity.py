"""Identity: which identifiers an event shows, and what is decided when it shows a new pair."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec

from obverse.core.crdt.clock import Stamp
from obverse.core.events import Event

LONGEST: Final = 400
"""Characters of the longest value that identifies anybody."""

KINDS: Final = ("user_id", "email", "anonymous_id")
"""Kinds of identifier, the strongest first."""
ID: Final = "id"
"""Stands before a profile's own id where an identifier may stand. No event shows one."""

_BLOCKED_ANY_CASE: Final = frozenset(
    [
        "anonymous",
        "guest",
        "distinctid",
        "distinct_id",
        "id",
        "not_authenticated",
        "email",
        "undefined",
        "true",
        "false",
    ]
)
_BLOCKED: Final = frozenset({"[object Object]", "-1", "NaN", "None", "none", "null"})
_LONGEST_BLOCKED: Final = max(map(len, _BLOCKED_ANY_CASE))
"""No longer text is one of these in any case: in lower case a text has at least as many characters."""
_QUOTES: Final = "'\""


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """The workspace's own rules."""

    blocked: frozenset[str] = frozenset()
    """Values that identify nobody, beside those that never do."""


class Edge(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Evidence that two identifiers are of one person."""

    a: str
    b: str
    event: str
    """Message id of the event that showed it."""
    rule: str
    at: int
    """The event's time, in microseconds since 1970."""


class Decision(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=True):
    """
    What was decided when an event showed a new pair of identifiers; never taken anew in a replay.

    The profile gets the identifiers and edges; each of `absorbed` becomes one with it.
    """

    kind: str
    """`create`, `link` or `merge`."""
    profile: bytes
    absorbed: tuple[bytes, ...]
    identifiers: tuple[str, ...]
    edges: tuple[Edge, ...]
    event: str
    stamp: Stamp
    received_at: int


def is_blocked(value: str, rules: IdentityRules) -> bool:
    """
    Whether a value identifies nobody: a placeholder that many share.

    Segment's and PostHog's lists, also in quotes; zeroes and dashes; blank; longer than `LONGEST`.

    >>> [is_blocked(value, IdentityRules()) for value in ("ada", "null", "0000-0000", '"Guest"', " ")]
    [False, True, True, True, True]
    """
    bare = value.strip()
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        bare = bare[1:-1].strip()
    return (
        not bare.strip("0-")
        or len(value) > LONGEST
        or bare in _BLOCKED
        or (len(bare) <= _LONGEST_BLOCKED and bare.lower() in _BLOCKED_ANY_CASE)
        or value in rules.blocked
    )


def identifiers(event: Event, rules: IdentityRules) -> tuple[str, ...]:
    """The identifiers that an event shows, as `kind:value`, the strongest kind first; none that is blocked."""
    user, texts = event.user_id, event.properties + event.context
    # A cheap look first: most events carry no address. JSON may spell a key with escapes.
    # `in` would raise and catch an error at each look, to learn that it is not asked for a number.
    addressed = texts.find(b'email"') >= 0 or texts.find(b"\\u00") >= 0
    if user is not None and not addressed and event.anonymous_id is None and event.previous_id is None:
        return () if is_blocked(user, rules) else ("user_id:" + user,)
    shown = []
    if user is not None and not is_blocked(user, rules):
        shown.append("user_id:" + user)
    if addressed:
        # As it was written, too: `NaN` and `[object Object]` are blocked in this spelling alone.
        shown.extend(
            "email:" + address.lower()
            for address in _emails(event)
            if not is_blocked(address, rules) and not is_blocked(address.lower(), rules)
        )
    if event.anonymous_id is not None and not is_blocked(event.anonymous_id, rules):
        shown.append("anonymous_id:" + event.anonymous_id)
    if event.type == "alias" and event.previous_id is not None and not is_blocked(event.previous_id, rules):
        # The spec leaves open what kind a previous id is; analytics.js sends the anonymous one.
        shown.append("anonymous_id:" + event.previous_id)
    return tuple(dict.fromkeys(shown))


class _Carrier(msgspec.Struct, gc=False):
    email: msgspec.Raw = msgspec.Raw(b"null")


class _Context(msgspec.Struct, gc=False):
    traits: msgspec.Raw = msgspec.Raw(b"null")


_carrier = msgspec.json.Decoder(_Carrier)
_context = msgspec.json.Decoder(_Context)
_text = msgspec.json.Decoder(str)


def _emails(event: Event) -> Iterator[str]:
    """Addresses in the properties or traits, then in the context's traits; trimmed."""
    # A group's traits tell of the account, not of the person.
    carriers: list[Any] = [] if event.type == "group" else [event.properties]
    with contextlib.suppress(msgspec.MsgspecError, RecursionError):  # a context that is no object shows nothing
        carriers.append(_context.decode(event.context).traits)
    for carrier in carriers:
        try:
            address = _text.decode(_carrier.decode(carrier).email).strip()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if address and "\0" not in address:
            yield address


def profile_id(workspace: str, identifier: str) -> bytes:
    """The id of the profile that an identifier makes: 16 bytes, the same wherever it is computed."""
    digest = bytearray(blake2b(f"{workspace}\0{identifier}".encode(), digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8: "vendor-specific"
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def id_text(profile: bytes) -> str:
    """A profile's id as a UUID is written."""
    digits = profile.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def id_name(profile: bytes) -> str:
    """
    The name by which a profile is asked for by its own id.

    >>> id_name(bytes(16))
    'id:00000000-0000-0000-0000-000000000000'
    """
    return f"{ID}:{id_text(profile)}"


def id_named(name: str) -> bytes | None:
    """
    The profile's id that `id_name` made a name of; None if it is no such name.

    >>> id_named("user_id:42"), id_named("id:42"), id_named(id_name(bytes(16))) == bytes(16)
    (None, None, True)
    """
    kind, _, text = name.partition(":")
    if kind != ID:
        return None
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return found if len(found) == 16 and id_text(found) == text.lower() else None  # noqa: PLR2004 - a UUID's bytes


def edge_key(one: str, other: str) -> tuple[str, str]:
    """The two ends of an edge in their one order."""
    return (one, other) if one < other else (other, one)
