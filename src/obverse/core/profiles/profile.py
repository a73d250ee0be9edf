"""What a profile is made of, and how it rests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from obverse.core.crdt.clock import Stamp
from obverse.core.crdt.register import Register
from obverse.core.definitions import Definitions, Trait
from obverse.core.identity import Edge
from obverse.core.profiles import former, packing
from obverse.core.profiles.parts import NEVER, Membership, Sighting
from obverse.core.profiles.window import Window

_STATE: Final = (
    *("identifiers", "traits", "audiences", "seen", "version", "first", "changed_at", "turned_at", "events", "merges"),
)
_NO_TRAITS: Final[Mapping[int, Trait]] = {}


@dataclass(slots=True)
class Known:
    """What moves seldom; each field as the property of `Profile` that has its name."""

    sightings: dict[str, Sighting] = field(default_factory=dict)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    attributes: dict[str, Register] = field(default_factory=dict)
    groups: dict[str, Sighting] = field(default_factory=dict)
    consents: dict[str, Register] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Profile:
    """
    One person, owned by one engine.

    Identifiers, edges, attributes, groups, consents, version and window are lattices; traits are aggregates, which see
    each event once because the window of message ids catches what comes again.

    It has two parts: the *state*, which moves with each event, and what is *known*, which moves seldom. A profile
    that rests (`rest`) holds both as bytes, in half of the memory; whoever reads a field wakes its part.
    """

    id: bytes

    identifiers: dict[str, int] = field(default_factory=dict)
    """When each was shown last, in microseconds since 1970."""
    traits: dict[str, Any] = field(default_factory=dict)
    """State by `Trait.key`."""
    audiences: dict[str, Membership] = field(default_factory=dict)
    seen: Window = field(default_factory=Window)
    """The message ids of what was folded."""
    version: dict[int, int] = field(default_factory=dict)
    """What was folded: {partition: highest offset}."""
    first: Stamp | None = None
    """Stamp of the earliest event."""
    changed_at: int = 0
    """Arrival of the event that changed it last, in microseconds since 1970."""
    turned_at: int = 0
    """The instant at which time alone could change it last, in microseconds since 1970; it was evaluated then."""
    events: int = 0
    merges: int = 0
    """How many other profiles have become part of it."""

    filled: int = 0
    """Up to which version of the definitions its history has been computed."""
    since: dict[int, int] | None = None
    """From where on in the log those to come are folded as events come, by partition; None: as for everybody."""
    due: int = NEVER
    """By when time alone could change it, in microseconds since 1970, and never later; told while it rests, too."""
    known_moved: bool = True
    """Whether what is known has moved since it was kept last. Whoever changes it says so."""
    standing_moved: bool = False
    """Whether it has entered or left an audience since it was kept last."""
    claims: tuple[str, ...] = ()
    """Identifiers that it has come to since it was kept last."""
    losses: int = 0
    """How many identifiers it has lost, to another one or to nobody, while it was in memory."""
    kept_in: int = 0
    """Which checkpoint of the engine kept it last, counted from 1."""

    _known: Known | None = field(default_factory=Known, repr=False)
    """None while it rests."""
    _packed_known: bytes = field(default=b"", repr=False)
    """What is known, packed; holds unless `known_moved`."""
    _packed_state: bytes = field(default=b"", repr=False)
    """The state, packed, while it rests."""
    _traits: Mapping[int, Trait] = field(default_factory=lambda: _NO_TRAITS, repr=False)
    """By code: how the traits of a resting state are unpacked."""

    @property
    def sightings(self) -> dict[str, Sighting]:
        """The first of each identifier."""
        return self.known().sightings

    @property
    def edges(self) -> dict[tuple[str, str], Edge]:
        """By both ends, as `edge_key` orders them."""
        return self.known().edges

    @property
    def attributes(self) -> dict[str, Register]:
        """By name."""
        return self.known().attributes

    @property
    def groups(self) -> dict[str, Sighting]:
        """By the ids of those that the person is a member of, the earliest event that said so."""
        return self.known().groups

    @property
    def consents(self) -> dict[str, Register]:
        """By purpose, whether it is allowed: JSON true or false."""
        return self.known().consents

    def consented(self, purpose: str) -> bool | None:
        """Whether the person has allowed something; None if nothing was said of it."""
        written = self.known().consents.get(purpose)
        return None if written is None else written[0].value == b"true"

    def known(self) -> Known:
        """All that is known, awake: for whoever reads several fields of it, since each property asks again."""
        known = self._known
        if known is None:
            known = self._known = Known(*packing.read_known(self._packed_known))
        return known

    def __eq__(self, other: object) -> bool:
        """Whether all that is told of both is alike, whether they rest or not."""
        if not isinstance(other, Profile):
            return NotImplemented
        compared = ("id", *_STATE, "sightings", "edges", "attributes", "groups", "consents")
        return all(getattr(self, name) == getattr(other, name) for name in compared)

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def now(self) -> int:
        """What time it is for this profile, as far as it knows, in microseconds since 1970: it never goes back."""
        return max(self.changed_at, self.turned_at)

    @property
    def rests(self) -> bool:
        """Whether its state is bytes."""
        return bool(self._packed_state)

    def packed_known(self) -> bytes:
        """Return what is known as bytes."""
        if self.known_moved or not self._packed_known:
            return packing.pack_known(self.sightings, self.edges, self.attributes, self.groups, self.consents)
        return self._packed_known

    def packed_state(self, definitions: Definitions) -> bytes:
        """Return the state as bytes; traits whose definition is gone are left behind."""
        if self._packed_state:
            return self._packed_state
        self.seen.trim()
        return packing.pack_state(
            packing.State(
                packing.FORMAT,
                self.id,
                self.identifiers,
                packing.pack_traits(self.traits, definitions.trait_of_key),
                self.audiences,
                self.seen.packed(),
                self.version,
                self.first,
                self.changed_at,
                self.events,
                self.merges,
                self.turned_at,
                None if self.due == NEVER else self.due,
                self.filled,
                self.since,
            )
        )

    def rest(self, definitions: Definitions) -> None:
        """Let both parts rest; nobody notices but the memory."""
        if not self.known_moved:
            self._packed_known, self._known = self.packed_known(), None
        if not self._packed_state:
            self._packed_state, self._traits = self.packed_state(definitions), definitions.trait_of_code
            for name in _STATE:
                delattr(self, name)
            self.__class__ = _Resting

    def kept(self, known: bytes | None) -> None:
        """Note that the store was told all that moved until now; `known` is what is known, packed, if that moved."""
        if known is not None:
            self._packed_known = known
        self.known_moved, self.standing_moved, self.claims = False, False, ()

    @staticmethod
    def of(known: bytes, state: bytes, definitions: Definitions) -> Profile:
        """
        Return the profile that was packed in these bytes, awake.

        Raises:
            ValueError: they are no profile, or of a format that this release does not know.
        """
        read = packing.read_state(state)
        profile = Profile(read.id, known_moved=False, _packed_known=known)
        profile._take_state(read, definitions.trait_of_code)
        profile._known = Known(*packing.read_known(known))
        return profile

    def _take_state(self, read: packing.State, traits: Mapping[int, Trait]) -> None:
        self.identifiers = read.identifiers
        self.traits = packing.read_traits(read.traits, traits)
        self.audiences = read.audiences
        self.seen = Window(read.seen)
        self.version = read.version
        self.first = read.first
        self.changed_at = read.changed_at
        self.events = read.events
        self.merges = read.merges
        self.turned_at = read.turned_at
        self.due = NEVER if read.due is None else read.due
        self.filled, self.since = read.filled, read.since

    def told(self, attribute: str) -> bytes | None:
        """Return the value of an attribute as it was sent, None if there is none; what is known may go on resting."""
        if self._known is None:
            return packing.read_attribute(self._packed_known, attribute)
        written = self._known.attributes.get(attribute)
        return None if written is None else written[0].value


class _Resting(Profile):
    """
    A profile whose state rests: it becomes a `Profile` when one of its fields is read.

    A class of its own, since Python reads the fields of one that has `__getattr__` at several times the cost.
    """

    __slots__ = ()

    if not TYPE_CHECKING:  # else a field that is misspelt would be thought to be one that rests

        def __getattr__(self, name: str) -> Any:
            """Wake the state; Python asks here only for what is not there."""
            if name not in _STATE:
                raise AttributeError(f"'Profile' object has no attribute {name!r}", name=name, obj=self)
            self._take_state(packing.read_state(self._packed_state), self._traits)
            self._packed_state = b""
            self.__class__ = Profile
            return getattr(self, name)


def pack(profile: Profile, definitions: Definitions) -> bytes:
    """The whole profile as bytes; traits whose definition is gone are left behind."""
    return packing.whole(profile.packed_known(), profile.packed_state(definitions))


@dataclass(frozen=True, slots=True)
class Brief:
    """What is told of a person, and nothing else of the profile."""

    id: bytes
    identifiers: Mapping[str, int]
    """When each was shown last, in microseconds since 1970."""
    attributes: Mapping[str, bytes]
    """The winning value of each, as it was sent."""

    def told(self, attribute: str) -> bytes | None:
        """Return the value of an attribute as it was sent, None if there is none."""
        return self.attributes.get(attribute)


def unpack_briefly(packed: bytes) -> Brief:
    """
    What is told of the profile that was packed: to look at everybody.

    Raises:
        ValueError: the bytes are no profile, or of a format that this release does not know.
    """
    known, state = packing.parts(packed)
    return Brief(*packing.read_briefly(*((known, state) if known else former.converted(state))))


def unpack(packed: bytes, definitions: Definitions) -> Profile:
    """
    The profile that was packed.

    Raises:
        ValueError: the bytes are no profile, or of a format that this release does not know.
    """
    known, state = packing.parts(packed)
    if known:
        return Profile.of(known, state, definitions)
    profile = Profile.of(*former.converted(state), definitions)
    profile.known_moved = True  # from where it was kept so far, the next row takes it away
    return profile
