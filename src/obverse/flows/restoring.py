"""Restoring: which attributes say something else than they did, and the event that writes what they said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from msgspec import Raw

from obverse.core import json_values, times
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.history import alike
from obverse.core.identity import KINDS, id_text, identifiers, is_blocked
from obverse.core.profiles import Profile
from obverse.flows.history_views import LeftOut, RestoredAttribute
from obverse.flows.views import view_write

SOURCE: Final = "obverse"
"""The source of what is written so."""
_NOT_TOLD: Final = b"null"


class UnknownAttribute(LookupError):
    """No such attribute is or was told; the message says which there are."""


class Unnameable(Exception):
    """The profile has no identifier by which an event could name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What is to be written; no event if that is nothing."""

    profile: bytes
    attributes: list[RestoredAttribute]
    left_out: list[LeftOut]
    event: Event | None


def restoration(
    then: Profile, current: Profile, at: int, names: Collection[str] | None, *, now: int, definitions: Definitions
) -> Restoration:
    """
    Plan what makes attributes say what they said then, all of them or those named. Times in microseconds since 1970.

    Raises:
        UnknownAttribute: one that is named is neither told now nor was then.
        Unnameable: no event can name the profile.
    """
    known = {*then.attributes, *current.attributes}
    unknown = sorted({*(names or ())} - known)
    if unknown:
        told = ", ".join(sorted(known)[:20]) or "none"
        raise UnknownAttribute(f"no attribute {unknown[0]!r} is told of this profile, now or then; there are: {told}")
    values = {
        name: then.told(name) or _NOT_TOLD
        for name in sorted(known if names is None else {*names})
        if not alike(then.told(name), current.told(name))
    }
    # Attributes that are identifiers too, such as the address: told again, these would be evidence.
    foreign = [
        name
        for name, value in values.items()
        if not current.identifiers.keys()
        >= {*identifiers(_event(current, {name: value}, at, now, definitions), definitions.identity)}
    ]
    for name in foreign:
        del values[name]
    return Restoration(
        profile=current.id,
        attributes=[_restored(name, value, current) for name, value in values.items()],
        left_out=[LeftOut(name, _OTHERS) for name in foreign],
        event=_event(current, values, at, now, definitions) if values else None,
    )


_OTHERS: Final = (
    "the value is no identifier of this profile, and writing it would tie it to whoever has it; if it is this "
    "person's, send an identify with it"
)


def _restored(name: str, value: bytes, current: Profile) -> RestoredAttribute:
    written = current.attributes.get(name)
    return RestoredAttribute(name, Raw(value), None if written is None else view_write(written[0]))


def _event(current: Profile, values: dict[str, bytes], at: int, now: int, definitions: Definitions) -> Event:
    """The identify that writes these values; the same one as long as what it replaces is the same."""
    digest = blake2b(current.id, digest_size=16)
    for name, value in values.items():
        written = current.attributes.get(name)
        before = None if written is None else written[0].stamp
        if before is not None:
            now = max(now, before.time + 1)  # later than what it replaces, whatever the clock of who told that
        digest.update(json_values.encode([name, value.decode("utf-8", "replace"), before]))
    user, anonymous, context = _names(current, definitions)
    context["restored"] = {"as_of": times.to_text(at), "profile": id_text(current.id)}
    return Event(
        type="identify",
        message_id=f"restore-{digest.hexdigest()}",
        source=SOURCE,
        received_at=now,
        timestamp=now,
        user_id=user,
        anonymous_id=anonymous,
        properties=json_values.encode({name: Raw(value) for name, value in values.items()}),
        context=json_values.encode(context),
    )


def _names(profile: Profile, definitions: Definitions) -> tuple[str | None, str | None, dict[str, Any]]:
    """The identifier by which an event names the profile: user id, anonymous id, and what its context says."""
    for kind in ("user_id", "anonymous_id", "email"):
        shown = [
            (last, one.partition(":")[2])
            for one, last in profile.identifiers.items()
            if one.startswith(f"{kind}:") and not is_blocked(one.partition(":")[2], definitions.identity)
        ]
        if shown:
            value = max(shown)[1]
            if kind == "email":
                return None, None, {"traits": {"email": value}}
            return (value, None, {}) if kind == "user_id" else (None, value, {})
    raise Unnameable(
        f"none of the identifiers of this profile identifies anybody by the rules of now: unblock one, or add one of "
        f"kind {', '.join(KINDS)} with an event that shows both"
    )
