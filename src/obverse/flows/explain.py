"""Explain: why somebody is in an audience, or is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from obverse.core import json_values, times
from obverse.core.conditions import Did, Explanation, Member, Steps, as_tree
from obverse.core.definitions import Definitions
from obverse.core.identity import id_text
from obverse.flows.browse import NoSuchAudience
from obverse.flows.serve import Serve
from obverse.flows.views import Time
from obverse.ports.runtime import Runtime

SHOWN: Final = 20
"""Moments of events that are told, the latest."""


class ReasonView(msgspec.Struct, frozen=True):
    """One node of a condition, as it stands for one person."""

    condition: Annotated[dict[str, Any], Meta(description="The node, as the definition says it.")]
    holds: bool
    value: Annotated[
        Raw,
        Meta(
            description="What was found: of a test the value, null while there is none; of events the times of those "
            f"that count, the latest {SHOWN}; of a sequence the times at which all of its steps were done; of a "
            f"group the ids of those that the person is in, the first {SHOWN}; of an audience `member`, `since` and "
            "`number`, as for the whole, or null if they never were in it."
        ),
    ]
    changes_at: Annotated[Time | None, Meta(description="When time alone may change it.")]
    of: Annotated[list[ReasonView], Meta(description="The nodes that it joins; the condition of another audience.")]


class WhyView(msgspec.Struct, frozen=True):
    """Why somebody is in an audience, or is not."""

    audience: str
    profile: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    member: Annotated[bool, Meta(description="Whether the person is in it.")]
    since: Annotated[Time | None, Meta(description="Since when; or when they left it, if they ever were.")]
    number: Annotated[int, Meta(description="How often they have entered.")]
    reason: ReasonView


class Explain:
    """Tells reasons, of profiles as they are now."""

    def __init__(self, serve: Serve, definitions: Callable[[], Definitions], runtime: Runtime) -> None:
        self._serve = serve
        self._definitions = definitions
        self._runtime = runtime

    async def why(self, identifier: str, name: str) -> WhyView | None:
        """
        Return why the owner of an identifier is in an audience or not; None if nobody owns it.

        Raises:
            NoSuchAudience: none has this name.
            BadIdentifier, Unreachable, AccessRefused, UnreadableProfile: as `Serve.find`.
        """
        definitions = self._definitions()
        audience = next((one for one in definitions.audiences if one.name == name), None)
        if audience is None:
            known = ", ".join(one.name for one in definitions.audiences)
            raise NoSuchAudience(f"there is no audience {name!r}; defined: {known or 'none'}")
        profile = await self._serve.current(identifier)
        if profile is None:
            return None
        standing = profile.audiences.get(name)
        # A profile may have been evaluated by a clock that is ahead of ours.
        reason = definitions.explain(audience, profile, max(self._runtime.now(), profile.changed_at))
        return WhyView(
            audience=name,
            profile=id_text(profile.id),
            member=standing is not None and standing.member,
            since=None if standing is None else times.to_text(standing.since),
            number=0 if standing is None else standing.number,
            reason=_view(reason),
        )


def _view(reason: Explanation) -> ReasonView:
    value = reason.value
    match reason.condition:
        case Did() | Steps():
            value = [times.to_text(at) for at in value[-SHOWN:]]
        case Member(subject="group"):
            value = value[:SHOWN]
        case Member() if value is not None:
            value = {"member": value.member, "since": times.to_text(value.since), "number": value.number}
    return ReasonView(
        condition=as_tree(reason.condition),
        holds=reason.holds,
        value=Raw(json_values.encode(value)),
        changes_at=None if reason.changes_at is None else times.to_text(reason.changes_at),
        of=[_view(part) for part in reason.parts],
    )
