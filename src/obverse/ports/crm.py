"""Port: an outside CRM that keeps contacts, such as HubSpot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from obverse.core.records import Callback, Contact, ContactPatch, Edit
from obverse.ports.outcomes import Deferred, Done, Refused

Outcome = Done | Refused | Deferred
"""What became of one contact; the reference of `Done` is the record's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrmLimits:
    """What one CRM allows. Callers cut their work to fit."""

    batch_size: int
    """Most patches in one call of `upsert`, most ids in one of `read`."""
    requests: int
    """Most calls within `seconds`."""
    seconds: float


class Crm(Protocol):
    """
    Keeps the contacts of an outside CRM equal to our profiles.

    Promises, proved for every adapter by `obverse.contracts.crm`:

    * one outcome a patch, in the order given;
    * the same patch twice leaves the CRM as the patch once;
    * the refusal of one contact never hides the fate of another;
    * no edit is read from a callback that the CRM did not sign, or signed longer ago than it allows.
    """

    @property
    def limits(self) -> CrmLimits:
        """What this CRM allows; constant for the life of the connection."""
        ...

    async def fields(self) -> Mapping[str, bool]:
        """
        Return the fields that a contact has: the CRM's name -> whether it can be written.

        Raises: as `upsert`.
        """
        ...

    async def upsert(self, patches: Sequence[ContactPatch]) -> Sequence[Outcome]:
        """
        Write each patch, creating the contact that is missing. No two patches are of one contact.

        Raises:
            Unreachable: nothing is known of the batch; send all of it again, not before its `after`.
            AccessRefused: a person must mend the connection.
            ValueError: there are more patches than `limits.batch_size`.
        """
        ...

    async def read(self, record_ids: Sequence[str], fields: Collection[str]) -> Sequence[Contact | None]:
        """
        Return these contacts in the order given, None for each that is not there.

        Raises: as `upsert`.
        """
        ...

    def edits(self, callback: Callback) -> Sequence[Edit]:
        """
        Return what a callback tells, in the order in which it is told; of things that are no edits, nothing.

        Raises:
            Forged: the signature is missing, wrong or too old.
            BadCallback: it is signed, and cannot be understood.
        """
        ...

    async def close(self) -> None:
        """Close what this connection opened."""
        ...
