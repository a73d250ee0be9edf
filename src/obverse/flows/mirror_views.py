"""Views in the shapes of Segment's Profile API: its names, so that its clients read them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

Source = Annotated[str | None, Meta(description="Who sent it; null where nobody did, or it is not kept.")]


class SpaceCursor(msgspec.Struct, frozen=True):
    """Where a page stands."""

    url: Annotated[str, Meta(description="Path of the whole list.")]
    has_more: bool
    next: Annotated[str, Meta(description="Give it as `next` for the page that follows; empty at the end.")]
    limit: int


class SpaceTrait(msgspec.Struct, frozen=True):
    """A trait, with who said so and when."""

    value: Any
    source_id: Annotated[str, Meta(description="The source that told it; `obverse` for what is computed here.")]
    updated_at: Annotated[
        str,
        Meta(
            description="Stamp of what was told; since when somebody is in an audience; for a computed trait, the "
            "arrival of the event that changed the profile last: it is as of then."
        ),
    ]


class SpaceTraits(msgspec.Struct, frozen=True):
    """Attributes, computed traits and audiences together, in order of their names."""

    traits: Annotated[dict[str, Any], Meta(description="By name: the value, or with `verbose` who said so and when.")]
    cursor: SpaceCursor


class SpaceEventId(msgspec.Struct, frozen=True):
    """An identifier that an event shows."""

    collection: str
    type: str
    id: str
    encoding: str = "none"


class SpaceExternalId(msgspec.Struct, frozen=True):
    """An identifier."""

    source_id: Source
    collection: str
    id: str
    type: Annotated[str, Meta(examples=["user_id"])]
    created_at: Annotated[str, Meta(description="When it was shown first; of a link, since when there is one.")]
    first_message_id: Annotated[str, Meta(description="Message id of the event that showed it first.")]
    encoding: str = "none"


class SpaceExternalIds(msgspec.Struct, frozen=True):
    """Identifiers, in order of their type and value."""

    data: list[SpaceExternalId]
    cursor: SpaceCursor


class SpaceRelated(msgspec.Struct, frozen=True):
    """Whose an event is."""

    users: Annotated[str, Meta(description="The profile's own id.")]


class SpaceEvent(msgspec.Struct, frozen=True):
    """An event."""

    external_ids: list[SpaceEventId]
    context: Raw
    type: str
    message_id: str
    source_id: str
    timestamp: str
    properties: Annotated[Raw, Meta(description="The properties; the traits of identify and group. As sent.")]
    event: Annotated[str, Meta(description="A track's event name, else the call.")]
    related: SpaceRelated


class SpaceEvents(msgspec.Struct, frozen=True):
    """Events of the last 14 days, the latest first. A page may have fewer than there is room for, and more follow."""

    data: list[SpaceEvent]
    cursor: SpaceCursor


class SpaceFacts(msgspec.Struct, frozen=True):
    """When a profile began, and what came last."""

    created_at: str | None
    updated_at: str
    first_message_id: str | None
    first_source_id: str | None
    last_message_id: Annotated[str | None, Meta(description="As of the last checkpoint.")]
    last_source_id: str | None
    expires_at: Annotated[None, Meta(description="Profiles do not expire.")] = None


class SpaceMetadata(msgspec.Struct, frozen=True):
    """What is to be known of a profile beside what it holds."""

    metadata: SpaceFacts


class SpaceLink(msgspec.Struct, frozen=True):
    """An account of a user, or a user of an account."""

    to_collection: str
    external_ids: Annotated[list[SpaceExternalId], Meta(description="At most ten: what says most first.")]


class SpaceLinks(msgspec.Struct, frozen=True):
    """The accounts of a user, the users of an account."""

    data: list[SpaceLink]
    cursor: SpaceCursor
