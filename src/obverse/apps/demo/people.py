"""Made names for the shop's customers, whom the file knows by number alone."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

FIRST_NAMES = (
    "Ada", "Agnes", "Alan", "Amina", "Anton", "Beatrice", "Carlos", "Chidi",
    "Clara", "Dorothy", "Edgar", "Elena", "Emil", "Farah", "Felix", "Grace",
    "Hana", "Henrik", "Ines", "Jonas", "Katya", "Leila", "Louis", "Mabel",
    "Marcus", "Mei", "Nadia", "Oscar", "Priya", "Rosa", "Samuel", "Yusuf",
)  # fmt: skip

LAST_NAMES = (
    "Abbott", "Adeyemi", "Ahmed", "Barnes", "Bergmann", "Castillo", "Chen", "Clarke",
    "Dubois", "Ellis", "Fischer", "Fletcher", "Garcia", "Hughes", "Ivanova", "Jansen",
    "Kaur", "Kowalski", "Larsen", "Mensah", "Moreau", "Murphy", "Nakamura", "Novak",
    "Okafor", "Patel", "Quinn", "Rossi", "Silva", "Tanaka", "Walker", "Yilmaz",
)  # fmt: skip


def made_traits(customer: str, country: str) -> dict[str, Any]:
    """
    The traits of one customer: always the same for the same number, and marked as made.

    The address holds the customer's number, so no two customers share one, and stands at example.com,
    which belongs to nobody and takes no mail.
    """
    first_die, last_die = blake2b(customer.encode(), digest_size=2).digest()
    first = FIRST_NAMES[first_die % len(FIRST_NAMES)]
    last = LAST_NAMES[last_die % len(LAST_NAMES)]
    return {
        "firstName": first,
        "lastName": last,
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{customer}@example.com".lower(),
        "country": country,
        "made": True,
    }
