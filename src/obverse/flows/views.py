"""Views: profiles, events and figures in the shapes in which they are read. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from obverse.core import profiles, times
from obverse.core.crdt.register import Write
from obverse.core.definitions import Definitions
from obverse.core.events import Event
from obverse.core.identity import id_text
from obverse.core.profiles import Profile
from obverse.flows.syncs import ConnectionBrief

MessageId = Annotated[str, Meta(description="Message id of the event.")]
Time = Annotated[str, Meta(description="ISO 8601, UTC.", examples=["2026-01-31T12:00:00Z"])]


class IdentifierView(msgspec.Struct, frozen=True):
    """An identifier of the profile, and when it was shown."""

    kind: Annotated[str, Meta(examples=["user_id"])]
    value: Annotated[str, Meta(examples=["42"])]
    first_seen: Time
    last_seen: Time
    event: Annotated[str, Meta(description="Message id of the event that showed it first.")]


class EdgeView(msgspec.Struct, frozen=True):
    """Evidence that two identifiers are of one person."""

    a: Annotated[str, Meta(examples=["anonymous_id:7f3a"])]
    b: Annotated[str, Meta(examples=["user_id:42"])]
    event: MessageId
    rule: str
    at: Time


class WriteView(msgspec.Struct, frozen=True):
    """A value that a system told us, and its stamp."""

    value: Annotated[Raw, Meta(description="As it was sent.")]
    source: str
    updated_at: Time
    event: MessageId


class AttributeView(msgspec.Struct, frozen=True):
    """An attribute: the write that won, and those that it beat."""

    value: Annotated[Raw, Meta(description="As it was sent.")]
    source: str
    updated_at: Time
    event: MessageId
    previous: Annotated[list[WriteView], Meta(description="Writes that lost, the latest first; at most four.")]


class AudienceView(msgspec.Struct, frozen=True):
    """An audience that the profile is in."""

    name: str
    since: Annotated[str, Meta(description="Time of the event that made it enter.")]
    number: Annotated[int, Meta(description="How often it has entered, this time included.")]


class GroupOfView(msgspec.Struct, frozen=True):
    """A group that the person is a member of."""

    id: Annotated[str, Meta(description="`groupId`, as `GET /v1/groups/{id}` takes it.", examples=["acme"])]
    since: Annotated[str, Meta(description="Time of the earliest event that said so.")]
    event: MessageId


class ConsentView(msgspec.Struct, frozen=True):
    """What a person said of one purpose last."""

    allowed: bool
    source: str
    updated_at: Time
    event: MessageId


Traits = Annotated[
    dict[str, Any],
    Meta(description="Every trait that has a value. Numbers are exact: read them as decimals."),
]
Approximate = Annotated[
    list[str],
    Meta(description="Traits whose value is about right only, in order of their names."),
]
Version = Annotated[
    dict[str, int], Meta(description="Highest offset folded into the profile, by partition of the log.")
]


class PastView(msgspec.Struct, frozen=True):
    """What is to be known of a profile as it was."""

    as_of: Time
    complete: Annotated[
        bool,
        Meta(
            description="False if the oldest events of this person are let go. Then identifiers are whole; what was "
            "told and computed begins with `kept_from`."
        ),
    ]
    kept_from: Annotated[str | None, Meta(description="Arrival of the first event that is kept, if not all are.")]
    known_from: Annotated[str, Meta(description="Arrival of the first event of whoever is one with it.")]
    now: Annotated[str, Meta(description="The profile that it is now.", extra_json_schema={"format": "uuid"})]
    merged: Annotated[
        list[Annotated[str, Meta(extra_json_schema={"format": "uuid"})]],
        Meta(description="Profiles of then that were apart from it, and are one with it now. Ask for them by `id`."),
    ]


class ProfileView(msgspec.Struct, frozen=True):
    """One person: what systems told us of them, and what we computed."""

    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    identifiers: list[IdentifierView]
    edges: list[EdgeView]
    refused: Annotated[
        list[EdgeView],
        Meta(
            description="Pairs that an event showed and that tie nothing; the rule is the kind whose limit was "
            "reached, or `merges` or `identifiers`, if the profile has as many as it may."
        ),
    ]
    attributes: dict[str, AttributeView]
    traits: Traits
    approximate: Approximate
    audiences: list[AudienceView]
    groups: Annotated[list[GroupOfView], Meta(description="In order of their ids.")]
    consents: Annotated[dict[str, ConsentView], Meta(description="By purpose, what the person has allowed.")]
    version: Version
    events: Annotated[int, Meta(description="Events folded into the profile.")]
    first_seen: Annotated[str | None, Meta(description="Time of the earliest event.")]
    changed_at: Annotated[str, Meta(description="Arrival of the event that changed it last.")]
    past: Annotated[
        PastView | UnsetType, Meta(description="Only if it was asked for as of a time: then all else is as of it.")
    ] = UNSET


class EventView(msgspec.Struct, frozen=True):
    """An event of the profile, or of one that was merged into it."""

    id: Annotated[int, Meta(description="`event_id` of the table `event_stream`.")]
    type: Annotated[str, Meta(description="The call.", examples=["track"])]
    event_type: Annotated[str, Meta(description="A track's event name, else the call.", examples=["Order Completed"])]
    name: Annotated[str | None, Meta(description="A track's event name, a page's or screen's name.")]
    message_id: str
    source: str
    timestamp: Annotated[str, Meta(description="When it happened, corrected for the sender's clock.")]
    received_at: Time
    user_id: str | None
    anonymous_id: str | None
    group_id: str | None
    previous_id: str | None
    properties: Annotated[Raw, Meta(description="The properties; the traits of identify and group. As sent.")]
    context: Annotated[Raw, Meta(description="As sent.")]


class EventsView(msgspec.Struct, frozen=True):
    """Some events, the latest first."""

    events: list[EventView]
    next: Annotated[int | None, Meta(description="Give it as `before` for the events that follow; null at the end.")]


class PartitionLag(msgspec.Struct, frozen=True):
    """How far one partition of the log is read. Offsets are those that come next."""

    appended: Annotated[int, Meta(description="In the log.")]
    kept: Annotated[int, Meta(description="In the store, as of the last checkpoint.")]
    lag: Annotated[int, Meta(description="Events of the log that are not in the store yet.")]


class OverviewView(msgspec.Struct, frozen=True):
    """Figures of the workspace, as of the last checkpoint."""

    profiles: Annotated[int, Meta(description="People: profiles that were not merged away.")]
    merges: Annotated[int, Meta(description="How often two profiles became one.")]
    events: Annotated[int, Meta(description="Events stored.")]
    rejected: Annotated[int, Meta(description="Events rejected.")]
    audiences: Annotated[dict[str, int], Meta(description="Members of every audience that is defined.")]
    lag: Annotated[
        dict[str, PartitionLag] | None, Meta(description="By partition of the log; null when the log cannot be asked.")
    ] = None
    received: Annotated[
        int | None, Meta(description="Events appended to the log, ever; null when it cannot be asked.")
    ] = None
    connections: Annotated[list[ConnectionBrief], Meta(description="CRMs, and how they are.")] = []
    behind: Annotated[dict[str, int | None], Meta(description="By flow: changes that it has not looked at yet.")] = {}
    messages: Annotated[dict[str, int], Meta(description="Messages by status.")] = {}


class ComponentView(msgspec.Struct, frozen=True):
    """A part of the installation that reading needs, and how it is."""

    name: Literal["store", "cache"]
    status: Literal["ok", "unreachable"]
    detail: Annotated[str | None, Meta(description="What is wrong.")] = None
    remedy: Annotated[str | None, Meta(description="What to do.")] = None


class _Graph(msgspec.Struct):
    identifiers: list[dict[str, str]]
    edges: list[EdgeView]
    refused: list[EdgeView]


def view_profile(profile: Profile, definitions: Definitions) -> ProfileView:
    """The profile as it is read."""
    graph = msgspec.convert(profiles.identity_graph(profile), _Graph)
    return ProfileView(
        id=id_text(profile.id),
        identifiers=[
            IdentifierView(**one, last_seen=times.to_text(profile.identifiers[f"{one['kind']}:{one['value']}"]))
            for one in graph.identifiers
        ],
        edges=graph.edges,
        refused=graph.refused,
        attributes={name: view_attribute(*written) for name, written in sorted(profile.attributes.items())},
        traits=profiles.computed_traits(profile, definitions),
        approximate=profiles.approximate_traits(profile, definitions),
        audiences=[
            AudienceView(name, times.to_text(standing.since), standing.number)
            for name, standing in sorted(profile.audiences.items())
            if standing.member
        ],
        groups=[
            GroupOfView(one, times.to_text(since.at), since.event) for one, since in sorted(profile.groups.items())
        ],
        consents={
            purpose: ConsentView(
                written[0].value == b"true",
                written[0].stamp.source,
                times.to_text(written[0].stamp.time),
                written[0].stamp.message_id,
            )
            for purpose, written in sorted(profile.consents.items())
        },
        version={str(partition): offset for partition, offset in sorted(profile.version.items())},
        events=profile.events,
        first_seen=None if profile.first is None else times.to_text(profile.first.time),
        changed_at=times.to_text(profile.changed_at),
    )


def view_attribute(winner: Write, *losers: Write) -> AttributeView:
    """The attribute as it is read."""
    stamp = winner.stamp
    return AttributeView(
        value=Raw(winner.value),
        source=stamp.source,
        updated_at=times.to_text(stamp.time),
        event=stamp.message_id,
        previous=list(map(view_write, losers)),
    )


def view_write(one: Write) -> WriteView:
    """The write as it is read."""
    stamp = one.stamp
    return WriteView(Raw(one.value), stamp.source, times.to_text(stamp.time), stamp.message_id)


def view_event(number: int, event: Event) -> EventView:
    """The event as it is read; `number` is its event id."""
    return EventView(
        id=number,
        type=event.type,
        event_type=event.event_type,
        name=event.name,
        message_id=event.message_id,
        source=event.source,
        timestamp=times.to_text(event.timestamp),
        received_at=times.to_text(event.received_at),
        user_id=event.user_id,
        anonymous_id=event.anonymous_id,
        group_id=event.group_id,
        previous_id=event.previous_id,
        properties=Raw(event.properties),
        context=Raw(event.context),
    )
