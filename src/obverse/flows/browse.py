"""Browse: look for people and groups, and see who is in an audience or a group. All as of the last checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from obverse.core import conditions, groups, json_values, mapping, profiles, times
from obverse.core.definitions import Definitions
from obverse.core.groups import Group
from obverse.core.identity import LONGEST, IdentityRules, id_named, id_text
from obverse.core.profiles import Profile, unpack
from obverse.flows.cursors import BadCursor, read_cursor
from obverse.flows.serve import UnreadableProfile
from obverse.flows.views import AttributeView, MessageId, view_attribute
from obverse.ports.profile_store import ProfileStore

SHOWN: Final = 10
"""Identifiers that are told of one person in a list."""

_NAMES: Final = (("name",), ("first_name", "last_name"), ("firstName", "lastName"))
"""Attributes that together name somebody; the first that is known is taken."""
_NOTHING: Final = Definitions()

Cursor = Annotated[str | None, Meta(description="Give it as `after` for those that follow; null at the end.")]
Name = Annotated[str | None, Meta(description="As systems told it; null while none has.")]
Email = Annotated[str | None, Meta(description="Where mail goes; null while no address is known.")]


class ShortIdentifier(msgspec.Struct, frozen=True):
    """An identifier."""

    kind: str
    value: str


Identifiers = Annotated[list[ShortIdentifier], Meta(description="At most ten: what says most of a person first.")]


class PersonView(msgspec.Struct, frozen=True):
    """A profile in a list."""

    id: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    name: Name
    email: Email
    identifiers: Identifiers
    changed_at: Annotated[str, Meta(description="Arrival of the event that changed it last.")]


class PeopleView(msgspec.Struct, frozen=True):
    """Some profiles, in order of their ids; those that were looked for, in order of what was found."""

    profiles: list[PersonView]
    next: Cursor


class AudienceDefinitionView(msgspec.Struct, frozen=True):
    """An audience that is defined, and how many are in it."""

    name: str
    description: str
    members: int
    condition: Annotated[dict[str, Any], Meta(description="As the definition says it: `op`, and what it applies to.")]


class AudiencesView(msgspec.Struct, frozen=True):
    """Every audience that is defined."""

    audiences: list[AudienceDefinitionView]


class MemberView(msgspec.Struct, frozen=True):
    """A profile in an audience."""

    profile: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    name: Name
    email: Email
    identifiers: Identifiers
    since: Annotated[str, Meta(description="Time of the event that made it enter.")]
    number: Annotated[int, Meta(description="How often it has entered, this time included.")]


class MembersView(msgspec.Struct, frozen=True):
    """Some members, in order of their ids."""

    members: list[MemberView]
    next: Cursor
    total: int


class GroupBrief(msgspec.Struct, frozen=True):
    """A group in a list."""

    id: Annotated[str, Meta(description="`groupId` of its group calls.", examples=["acme"])]
    name: Annotated[str | None, Meta(description="Its attribute `name`; null while nobody has told one.")]
    first_seen: Annotated[str, Meta(description="Time of the earliest event.")]
    changed_at: Annotated[str, Meta(description="Arrival of the event that told it something last.")]


class GroupsView(msgspec.Struct, frozen=True):
    """Some groups, in order of their ids."""

    groups: list[GroupBrief]
    next: Cursor


class GroupView(msgspec.Struct, frozen=True):
    """An account or company: what systems told us of it."""

    id: Annotated[str, Meta(examples=["acme"])]
    name: Annotated[str | None, Meta(description="Its attribute `name`; null while nobody has told one.")]
    attributes: dict[str, AttributeView]
    members: Annotated[int, Meta(description="How many people are members of it.")]
    first_seen: Annotated[str, Meta(description="Time of the earliest event.")]
    changed_at: Annotated[str, Meta(description="Arrival of the event that told it something last.")]


class GroupMemberView(msgspec.Struct, frozen=True):
    """A member of a group."""

    profile: Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
    name: Name
    email: Email
    identifiers: Identifiers
    since: Annotated[str, Meta(description="Time of the earliest event that said so.")]
    event: MessageId


class GroupMembersView(msgspec.Struct, frozen=True):
    """Some members, in order of their ids."""

    members: list[GroupMemberView]
    next: Cursor
    total: int


class BadGroup(ValueError):
    """A text that can be no group's id; the message says why."""


class NoSuchGroup(LookupError):
    """An id that no group has."""


class NoSuchAudience(LookupError):
    """A name that no audience has; the message says which there are."""


class Browse:
    """Lists people."""

    def __init__(self, store: ProfileStore, definitions: Callable[[], Definitions]) -> None:
        self._store = store
        self._definitions = definitions

    async def people(self, text: str, *, limit: int, after: str | None = None) -> PeopleView:
        """
        Return people one of whose identifiers begins with the text; everybody, if it is empty.

        The text may name a kind, as in `email:ada@`, or be a profile's own id.

        Raises:
            BadCursor: `after` is none that an answer before has given.
            Unreachable, AccessRefused: the store cannot be read. So do all below.
            UnreadableProfile: another release wrote one of them. So do all below.
        """
        text = text.strip()
        one = id_named(text.lower()) or id_named(f"id:{text.lower()}")
        if one is not None:
            found = self._read(await self._store.load((), (one,)))
            return PeopleView([self._view(profile) for profile in found], None)
        if text:
            return await self._found(_prefixes(text, self._definitions().identity), limit, after)
        ids = await self._store.people(limit=limit + 1, after=read_cursor(after))
        shown = ids[:limit]
        known = {profile.id: profile for profile in self._read(await self._store.load((), shown))}
        following = id_text(shown[-1]) if len(ids) > limit else None
        return PeopleView([self._view(known[one]) for one in shown if one in known], following)

    async def _found(self, prefixes: Collection[str], limit: int, after: str | None) -> PeopleView:
        if after is not None and not after.startswith(tuple(prefixes)):
            raise BadCursor(f"{after!r} is none of this search: give one that an answer before has given")
        found: list[PersonView] = []
        while True:
            page = await self._store.search(prefixes, limit=limit + 1, after=after)
            for place, (identifier, state) in enumerate(page):
                if len(found) == limit or place == limit:
                    break
                after = identifier
                (profile,) = self._read([state])
                # A person is told once, by the first identifier of theirs that is like this.
                if identifier == min(one for one in profile.identifiers if one.startswith(tuple(prefixes))):
                    found.append(self._view(profile))
            else:
                return PeopleView(found, None)
            if len(found) == limit:
                return PeopleView(found, after)

    async def audiences(self) -> AudiencesView:
        """Return the audiences that are defined, and how many are in each."""
        counts = (await self._store.overview()).audiences
        return AudiencesView(
            [
                AudienceDefinitionView(
                    one.name, one.description, counts.get(one.name, 0), conditions.as_tree(one.where)
                )
                for one in self._definitions().audiences
            ]
        )

    async def members(self, name: str, *, limit: int, after: str | None = None) -> MembersView:
        """
        Return who is in an audience.

        Raises:
            NoSuchAudience: none has this name.
            BadCursor: as `people`.
        """
        known = [one.name for one in self._definitions().audiences]
        if name not in known:
            raise NoSuchAudience(
                f"there is no audience {name!r}; there {_listed(known)}" if known else "no audience is defined"
            )
        total = (await self._store.overview()).audiences.get(name, 0)
        found = await self._store.members(name, limit=limit + 1, after=read_cursor(after))
        shown = found[:limit]
        return MembersView(
            [
                MemberView(
                    profile=id_text(profile.id),
                    name=_name(profile),
                    email=mapping.address(profile),
                    identifiers=_identifiers(profile, self._definitions().identity),
                    since=times.to_text(member.since),
                    number=member.number,
                )
                for member, profile in zip(shown, self._read([one.packed for one in shown]), strict=True)
            ],
            id_text(shown[-1].profile) if len(found) > limit else None,
            total,
        )

    async def groups(self, text: str, *, limit: int, after: str | None = None) -> GroupsView:
        """
        Return groups whose ids begin with the text; all, if it is empty.

        Raises:
            BadCursor: as `people`.
        """
        prefix = text.lstrip()
        if after is not None and ("\0" in after or not after.startswith(prefix)):
            raise BadCursor(f"{after!r} is none of this search: give one that an answer before has given")
        found = [] if "\0" in prefix else await self._store.groups(prefix, limit=limit + 1, after=after)
        shown = _read_groups(found[:limit])
        return GroupsView(
            [GroupBrief(one.id, _group_name(one), _first_seen(one), times.to_text(one.changed_at)) for one in shown],
            shown[-1].id if len(found) > limit else None,
        )

    async def group(self, name: str) -> GroupView:
        """
        Return a group.

        Raises:
            BadGroup: the name can be none.
            NoSuchGroup: none has this id.
        """
        one = await self.known_group(name)
        return GroupView(
            id=one.id,
            name=_group_name(one),
            attributes={name: view_attribute(*written) for name, written in sorted(one.attributes.items())},
            members=await self._store.group_size(one.id),
            first_seen=_first_seen(one),
            changed_at=times.to_text(one.changed_at),
        )

    async def group_members(self, name: str, *, limit: int, after: str | None = None) -> GroupMembersView:
        """
        Return who is a member of a group.

        Raises:
            BadGroup, NoSuchGroup: as `group`.
            BadCursor: as `people`.
        """
        begin = read_cursor(after)
        group = (await self.known_group(name)).id
        total = await self._store.group_size(group)
        found = self._read(await self._store.group_members(group, limit=limit + 1, after=begin))
        members = [
            GroupMemberView(
                profile=id_text(profile.id),
                name=_name(profile),
                email=mapping.address(profile),
                identifiers=_identifiers(profile, self._definitions().identity),
                since=times.to_text(profile.groups[group].at),
                event=profile.groups[group].event,
            )
            for profile in found[:limit]
        ]
        return GroupMembersView(members, members[-1].profile if len(found) > limit else None, total)

    async def known_group(self, name: str) -> Group:
        """
        Return the group itself.

        Raises:
            BadGroup, NoSuchGroup: as `group`.
        """
        one = name.strip()
        if not one or "\0" in one or len(one) > LONGEST:
            raise BadGroup(f"{name!r} can be no group's id: it has 1 to {LONGEST} characters, none of them NUL")
        for group in _read_groups(await self._store.load_groups([one])):
            return group
        raise NoSuchGroup(f"there is no group {one!r}")

    def _view(self, profile: Profile) -> PersonView:
        return view_person(profile, self._definitions().identity)

    def _read(self, states: Sequence[bytes]) -> list[Profile]:
        try:
            return [unpack(state, self._definitions()) for state in states]
        except ValueError as error:
            raise UnreadableProfile(str(error)) from error


def _read_groups(states: Sequence[bytes]) -> list[Group]:
    try:
        return [groups.unpack(state) for state in states]
    except ValueError as error:
        raise UnreadableProfile(str(error)) from error


def _group_name(group: Group) -> str | None:
    written = group.attributes.get("name")
    name = None if written is None else json_values.lenient(written[0].value)
    return name if isinstance(name, str) and name.strip() else None


def _first_seen(group: Group) -> str:
    return times.to_text(group.changed_at if group.first is None else group.first.time)


def _prefixes(text: str, rules: IdentityRules) -> list[str]:
    kind, colon, value = text.partition(":")
    if colon and kind in rules.kinds:
        return [f"{kind}:{_begun(kind, value, rules)}"]
    return [f"{kind}:{_begun(kind, text, rules)}" for kind in rules.kinds]


def _begun(kind: str, text: str, rules: IdentityRules) -> str:
    """How a value of this kind may begin; a number that is not whole yet is taken as it is written."""
    return rules.spelt(kind, text) or text


def _listed(names: Sequence[str]) -> str:
    return ("is " if len(names) == 1 else "are ") + ", ".join(names)


def view_person(profile: Profile, rules: IdentityRules) -> PersonView:
    """The profile as it is told in a list."""
    return PersonView(
        id=id_text(profile.id),
        name=_name(profile),
        email=mapping.address(profile),
        identifiers=_identifiers(profile, rules),
        changed_at=times.to_text(profile.changed_at),
    )


def _identifiers(profile: Profile, rules: IdentityRules) -> list[ShortIdentifier]:
    shown = sorted(profile.identifiers, key=lambda one: (rules.rank(one), one))[:SHOWN]
    return [ShortIdentifier(kind, value) for kind, _, value in (one.partition(":") for one in shown)]


def _name(profile: Profile) -> str | None:
    for parts in _NAMES:
        told = [profiles.value_of(profile, "attribute", part, _NOTHING) for part in parts]
        name = " ".join(part.strip() for part in told if isinstance(part, str) and part.strip())
        if name:
            return name
    return None
