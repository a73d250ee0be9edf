"""A crowd for `obverse bench match`: people drawn from real lists of names and addresses, some of them told twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from obverse.core.matching import Field, MatchingRules, normal

SEED: Final = 20
_TWICE: Final = 0.2
"""Records that tell of somebody who is told already."""
_MOVED: Final = 0.15
"""Of those, who have moved house; another address, postcode and city."""
_CHANGED: Final = 0.25
"""Who have another e-mail, or another phone."""
_NICKNAMED: Final = 0.15
_TYPO: Final = 0.12
"""Of each value, how often a letter of it is wrong."""
_LEFT_OUT: Final = 0.15
"""Of each value of either record, how often it is not told."""
_DAY_AND_MONTH: Final = 0.02
_MARRIED: Final = 0.03
_NICKNAMES: Final = {
    "alexander": "alex",
    "alexandra": "alex",
    "benjamin": "ben",
    "cameron": "cam",
    "charlotte": "lottie",
    "christopher": "chris",
    "daniel": "dan",
    "edward": "ted",
    "elizabeth": "liz",
    "isabella": "bella",
    "jacob": "jake",
    "james": "jim",
    "jessica": "jess",
    "joseph": "joe",
    "joshua": "josh",
    "matthew": "matt",
    "michael": "mike",
    "mitchell": "mitch",
    "nicholas": "nick",
    "olivia": "livvy",
    "rebecca": "becky",
    "robert": "bob",
    "samantha": "sam",
    "samuel": "sam",
    "thomas": "tom",
    "timothy": "tim",
    "william": "bill",
    "zachary": "zac",
}
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_PROVIDERS: Final = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "bigpond.com", "example.org")


@dataclass(frozen=True, slots=True)
class Lists:
    """What people are drawn from, each as often as it stands there."""

    given: Sequence[str]
    family: Sequence[str]
    streets: Sequence[str]
    places: Sequence[tuple[str, str]]
    """Postcode and city."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Records by column, and which tell of one person."""

    fields: Sequence[Field]
    columns: Sequence[Sequence[str | None]]
    people: Sequence[int]
    """Of each record, whose it is."""


def crowd(lists: Lists, records: int) -> Crowd:
    """So many records of the fields that are compared by default, the same every time."""
    random = Random(SEED)  # noqa: S311 - a crowd that can be made again
    firsts = records - int(records * _TWICE)
    taken: set[str] = set()
    told = [_person(lists, random, taken) for _ in range(firsts)]
    people = list(range(firsts))
    for _ in range(records - firsts):
        whose = int(random.random() * firsts)
        told.append(_again(told[whose], lists, random, taken))
        people.append(whose)
    fields = MatchingRules().fields
    rows = [[None if random.random() < _LEFT_OUT else value for value in one] for one in told]
    columns = [
        [None if value is None else normal(field.kind, value) for value in column]
        for field, column in zip(fields, zip(*rows, strict=True), strict=True)
    ]
    return Crowd(fields, columns, people)


_Person = list[str]
"""In the order of the default fields: given and family name, birth date, e-mail, phone, street, postcode, city."""


def _person(lists: Lists, random: Random, taken: set[str]) -> _Person:
    given, family = random.choice(lists.given), random.choice(lists.family)
    born = f"{random.randint(1930, 2007)}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    return [given, family, born, _email(given, family, born, random, taken), _phone(random), *_address(lists, random)]


def _address(lists: Lists, random: Random) -> list[str]:
    return [f"{random.randint(1, 300)} {random.choice(lists.streets)}", *random.choice(lists.places)]


def _phone(random: Random) -> str:
    return f"614{random.randint(0, 99_999_999):08}"


def _email(given: str, family: str, born: str, random: Random, taken: set[str]) -> str:
    """An address that nobody has yet."""
    name = random.choice((f"{given}.{family}", f"{given[:1]}{family}", f"{given}{family}", f"{family}.{given}"))
    end, provider = random.choice(("", born[2:4])), random.choice(_PROVIDERS)
    email = f"{name.replace(' ', '')}{end}@{provider}"
    while email in taken:
        email = f"{name.replace(' ', '')}{random.randint(1, 99_999)}@{provider}"
    taken.add(email)
    return email


def _again(one: _Person, lists: Lists, random: Random, taken: set[str]) -> _Person:
    """The same person, as another system came to know them."""
    given, family, born, email, phone, *address = one
    if random.random() < _MOVED:
        address = _address(lists, random)
    if random.random() < _MARRIED:
        family = random.choice(lists.family)
    if random.random() < _CHANGED:
        email = _email(given, family, born, random, taken)
    if random.random() < _CHANGED:
        phone = _phone(random)
    if random.random() < _NICKNAMED:
        given = _NICKNAMES.get(given, given)
    if random.random() < _DAY_AND_MONTH:
        born = f"{born[:4]}{born[6:]}{born[4:6]}"
    return [
        _mistyped(value, random) if random.random() < _TYPO else value
        for value in (given, family, born, email, phone, *address)
    ]


def _mistyped(value: str, random: Random) -> str:
    place = random.randrange(len(value))
    letter = random.choice("0123456789" if value[place].isdigit() else _LETTERS)
    how: Sequence[Callable[[], str]] = (
        lambda: value[:place] + letter + value[place + 1 :],
        lambda: value[:place] + letter + value[place:],
        lambda: value[:place] + value[place + 1 :],
        lambda: value[:place] + value[place + 1 : place + 2] + value[place : place + 1] + value[place + 2 :],
    )
    return random.choice(how)() or value
