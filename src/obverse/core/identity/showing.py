"""Showing: which identifiers an event shows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec

from obverse.core.events import Event
from obverse.core.identity.kinds import KINDS, Kind
from obverse.core.identity.rules import IdentityRules, is_blocked

_EMAIL: Final = Kind("email", "email")


def identifiers(event: Event, rules: IdentityRules) -> tuple[str, ...]:
    """
    The identifiers that an event shows, as `kind:value`, the strongest kind first; none that is blocked.

    Where each is found: docs/identity.md, which follows Segment.
    """
    user, texts = event.user_id, event.properties + event.context
    find = texts.find
    # A cheap look first: most events show nothing in their objects. JSON may spell a key with escapes.
    # `in` would raise and catch an error at each look, to learn that it is not asked for a number.
    within = (
        find(b'email"') >= 0
        or find(b'"device"') >= 0
        or find(b'"externalIds"') >= 0
        or find(b'clientId"') >= 0
        or find(b"\\u00") >= 0
    )
    finder = _PLAIN
    if rules.added:
        finder = _finder(rules.added)
        within = within or any(find(key) >= 0 for key in finder.keys)
    if user is not None and not within and event.anonymous_id is None and event.previous_id is None:
        return () if is_blocked(user, rules) else ("user_id:" + user,)
    shown = [] if user is None or is_blocked(user, rules) else ["user_id:" + user]
    others = []
    if event.anonymous_id is not None and not is_blocked(event.anonymous_id, rules):
        others.append("anonymous_id:" + event.anonymous_id)
    if event.type == "alias" and event.previous_id is not None and not is_blocked(event.previous_id, rules):
        # The spec leaves open what kind a previous id is; analytics.js sends the anonymous one.
        others.append("anonymous_id:" + event.previous_id)
    if within:
        found = dict.fromkeys(
            (one.name, f"{one.name}:{value}")
            for one, sent in finder.find(event)
            # As it was written, too: `NaN` and `[object Object]` are blocked in this spelling alone.
            if (value := one.spelt(sent)) is not None and not is_blocked(value, rules) and not is_blocked(sent, rules)
        )
        # Of one kind in the order in which they were found; an id that is told again here is the same one.
        shown += [one for kind, one in found if kind == "user_id"] + [one for kind, one in found if kind == "email"]
        others += [one for kind, one in found if kind not in {"user_id", "email"}]
        others.sort(key=_kind)
    return tuple(dict.fromkeys(shown + others))


def _kind(identifier: str) -> str:
    return identifier.partition(":")[0]


class _Context(msgspec.Struct, gc=False):
    traits: msgspec.Raw = msgspec.Raw(b"null")
    device: msgspec.Raw = msgspec.Raw(b"null")
    externalIds: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815 - as it is sent
    integrations: msgspec.Raw = msgspec.Raw(b"null")


_context = msgspec.json.Decoder(_Context)


@dataclass(frozen=True, slots=True)
class _Finder:
    """Finds the identifiers in an event's objects."""

    added: tuple[Kind, ...]
    keys: tuple[bytes, ...] = field(init=False)
    """In an event without any of these, no kind that was added is shown; but for those in `externalIds`."""
    _kinds: Mapping[str, Kind] = field(init=False)
    _carrier: msgspec.json.Decoder[Any] = field(init=False)
    _told: tuple[Kind, ...] = field(init=False)
    """What each field of a carrier holds."""

    def __post_init__(self) -> None:
        """Make ready."""
        told = [("email", _EMAIL), *((key, kind) for kind in self.added for key in kind.keys)]
        fields = [(f"f{place}", msgspec.Raw, msgspec.Raw(b"")) for place in range(len(told))]
        names = {f"f{place}": key for place, (key, _) in enumerate(told)}
        carrier: Any = msgspec.defstruct("Carrier", fields, rename=names, gc=False)
        for name, value in (
            ("keys", tuple(key.encode() + b'"' for key, _ in told[1:])),
            ("_kinds", {kind.name: kind for kind in self.added} | {"email": _EMAIL}),
            ("_carrier", msgspec.json.Decoder(carrier)),
            ("_told", tuple(kind for _, kind in told)),
        ):
            object.__setattr__(self, name, value)

    def find(self, event: Event) -> Iterator[tuple[Kind, str]]:
        """Every value that may identify somebody, as it was sent, with its kind."""
        context = _Context()
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            context = _context.decode(event.context)
        # A group's traits tell of the account, not of the person.
        for carrier in (context.traits,) if event.type == "group" else (event.properties, context.traits):
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                told = msgspec.structs.astuple(self._carrier.decode(carrier))
                yield from ((kind, _written(_any(raw), kind)) for kind, raw in zip(self._told, told, strict=True))
        yield from _of_device(_object(context.device))
        yield from self._of_integrations(_object(context.integrations))
        for one in _list(context.externalIds):
            kind = _string(one.get("type"))
            known = self._kinds.get(kind) or (Kind(kind) if kind in KINDS else None)
            if known is not None and one.get("collection") == "users" and one.get("encoding") == "none":
                yield known, _written(one.get("id"), known)

    def _of_integrations(self, integrations: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
        yield Kind("ga_client_id"), _string(_mapping(integrations.get("Google Analytics")).get("clientId"))
        if "braze_id" in self._kinds:
            yield self._kinds["braze_id"], _string(_mapping(integrations.get("Braze")).get("braze_id"))


def _of_device(device: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    system = _string(device.get("type")).lower()
    if system in {"android", "ios"}:
        yield Kind(f"{system}.id"), _string(device.get("id"))
        if device.get("adTrackingEnabled") is True:
            yield Kind(f"{system}.idfa"), _string(device.get("advertisingId"))
        yield Kind(f"{system}.push_token"), _string(device.get("token"))


def _written(value: Any, kind: Kind) -> str:
    """What is sent as an identifier, a text or a whole number; empty if it is something else."""
    if isinstance(value, int) and not isinstance(value, bool) and kind is not _EMAIL:
        return str(value)
    return _string(value)


def _any(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _object(raw: msgspec.Raw) -> Mapping[str, Any]:
    return _mapping(_any(raw))


def _list(raw: msgspec.Raw) -> list[Mapping[str, Any]]:
    value = _any(raw)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


_finder = lru_cache(maxsize=64)(_Finder)
_PLAIN: Final = _Finder(())
