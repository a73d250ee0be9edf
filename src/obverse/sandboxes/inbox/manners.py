"""
How the inbox misbehaves when it is told to, for tests of what sends mail.

As with the simulators of mail services, the part before the @ of a recipient says what happens; what follows a plus
in it is free, so `defer+ada@example.com` is deferred too. No other address is treated so.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final


class Manner(Enum):
    """What becomes of a mail to such an address; where several meet in one mail, the first of these."""

    DEFER = "defer"
    REFUSE = "refuse"
    REFUSE_DATA = "refuse-data"
    LOSE = "lost"
    DROP = "drop"
    HANG = "hang-after-dot"


TOLD: Final = {
    Manner.DEFER: "answers 451 to the recipient",
    Manner.REFUSE: "answers 550 to the recipient",
    Manner.REFUSE_DATA: "answers 554 after the last dot, and does not keep the mail",
    Manner.LOSE: "cuts the connection after the last dot, and does not keep the mail",
    Manner.DROP: "cuts the connection after the last dot, and keeps the mail",
    Manner.HANG: "keeps the mail, and never answers the last dot",
}
"""What each does, in words for people."""


def manner_of(addresses: Iterable[str]) -> Manner | None:
    """How a mail to these recipients is treated; None is well."""
    names = {address.rpartition("@")[0].partition("+")[0].lower() for address in addresses}
    return next((manner for manner in Manner if manner.value in names), None)
