"""Kinds: what may identify somebody, where it is found in an event, and how it is spelt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

STRONGEST: Final = ("user_id", "email")
"""The two strongest kinds; all others are equal, and stand in the order of their names."""
DEVICES: Final = ("android.id", "android.idfa", "android.push_token", "ios.id", "ios.idfa", "ios.push_token")
"""Found in `context.device`, by its type."""
KINDS: Final = (*STRONGEST, *sorted((*DEVICES, "anonymous_id", "ga_client_id")))
"""Kinds that always count, the strongest first."""
BUILT_IN: Final = frozenset(KINDS)
OF_A_DEVICE: Final = frozenset({*DEVICES, "anonymous_id", "ga_client_id", "cross_domain_id"})
"""Kinds that name a device or a browser, and no person."""

Spelling = Literal["as_sent", "lower_case", "email", "phone"]
SPELLINGS: Final[tuple[Spelling, ...]] = ("as_sent", "lower_case", "email", "phone")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of identifier that a workspace adds: in traits, properties, `context.traits` or `context.externalIds`."""

    name: str
    spelling: Spelling = "as_sent"
    region: str | None = None
    """Where a phone number without a country's code is from, as `GB`; None: such a number identifies nobody."""

    @property
    def keys(self) -> tuple[str, ...]:
        """How it is named in traits and properties: as it is, and in camel case."""
        first, *others = self.name.split("_")
        return tuple(dict.fromkeys((self.name, first + "".join(part.title() for part in others))))

    def spelt(self, value: str) -> str | None:
        """
        The one spelling of a value; None if it is none of this kind.

        >>> Kind("phone", "phone", "GB").spelt("020 7946 0958"), Kind("card").spelt(" 7 ")
        ('+442079460958', '7')
        """
        bare = value.strip()
        return None if not bare or "\0" in bare else SPELL[self.spelling](bare, self.region)


def _phone(value: str, region: str | None) -> str | None:
    """As E.164 writes it: `+` and at most 15 digits."""
    # Imported where there is one: few workspaces know people by phone, and the numbering plans are megabytes.
    import phonenumbers  # noqa: PLC0415 - see above

    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def is_region(name: str) -> bool:
    """Whether a country of this name, in two capital letters, has phone numbers."""
    import phonenumbers  # noqa: PLC0415 - see above

    return name in phonenumbers.SUPPORTED_REGIONS


def _lower(value: str, _region: str | None) -> str:
    return value.lower()


SPELL: Final[Mapping[Spelling, Callable[[str, str | None], str | None]]] = {
    "as_sent": lambda value, _region: value,
    "lower_case": _lower,
    "email": _lower,
    "phone": _phone,
}

KNOWN: Final[Mapping[str, Kind]] = {
    kind.name: kind for kind in (Kind("phone", "phone"), Kind("braze_id"), Kind("cross_domain_id"))
}
"""Kinds that count once a workspace names them."""
