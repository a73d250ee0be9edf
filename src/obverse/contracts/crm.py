"""What every CRM must prove: contacts end as they were asked to be, and only its own callbacks are believed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

import pytest

from obverse.core.records import BadCallback, Callback, ContactPatch, Forged
from obverse.ports.crm import Crm
from obverse.ports.outcomes import AccessRefused, Done, Refused, Unreachable

ADA: Final = ContactPatch(email="ada@example.com", fields={"firstname": "Ada", "lastname": "Lovelace"})
BOB: Final = ContactPatch(email="bob@example.com", fields={"firstname": "Bob"})
ODD: Final = ContactPatch(
    email="zoe@example.com", fields={"firstname": "Zoë \U0001f600", "lastname": '"; drop -- \\ <b>'}
)

HOUR: Final = 3_600_000_000

Trouble = Literal["wrong_key", "throttled", "broken", "gone"]
"""A key that it does not know; too many calls; an error of its own (5xx); nobody listens."""


class CrmContract:
    """Subclass, answer the questions, and every promise is tested. Fields `firstname` and `lastname` must be there."""

    @abstractmethod
    async def open_crm(self) -> Crm:
        """A connection to a CRM without contacts."""

    @abstractmethod
    async def open_troubled(self, trouble: Trouble) -> Crm:
        """A connection to one that has this trouble at every call."""

    @abstractmethod
    async def read_back(self, email: str) -> Mapping[str, str] | None:
        """The contact of the CRM of `open_crm` as it holds it, read without the adapter; None if there is none."""

    @abstractmethod
    async def edit(self, record_id: str, fields: Mapping[str, str]) -> Sequence[Callback]:
        """Change a contact in that CRM as a person does; return what it calls with, which may repeat or disorder."""

    def refused_patch(self) -> ContactPatch:
        """A patch that this CRM refuses for one value of it."""
        return ContactPatch(email="not an address", fields={"firstname": "Bad"})

    async def test_what_is_written_is_there(self) -> None:
        crm = await self.open_crm()

        outcomes = await crm.upsert([ADA, ODD])

        assert all(isinstance(outcome, Done) and outcome.reference for outcome in outcomes)
        assert await self.read_back(ADA.email) == {"email": ADA.email, **ADA.fields}
        assert await self.read_back(ODD.email) == {"email": ODD.email, **ODD.fields}

    async def test_it_answers_in_the_order_given_and_one_refusal_hides_no_other_fate(self) -> None:
        crm = await self.open_crm()

        outcomes = await crm.upsert([ADA, self.refused_patch(), BOB])

        assert [type(outcome) for outcome in outcomes] == [Done, Refused, Done]
        assert isinstance(outcomes[1], Refused)
        assert outcomes[1].reason
        assert await self.read_back(BOB.email) is not None
        for patch, outcome in ((ADA, outcomes[0]), (BOB, outcomes[2])):
            assert isinstance(outcome, Done)
            (found,) = await crm.read([outcome.reference], ["firstname"])
            assert found is not None
            assert (found.email, found.fields["firstname"]) == (patch.email, patch.fields["firstname"])

    async def test_a_field_that_it_does_not_have_is_refused_by_name(self) -> None:
        crm = await self.open_crm()

        outcomes = await crm.upsert([replace(ADA, fields={"no_such_field": "1"}), BOB])

        assert [type(outcome) for outcome in outcomes] == [Refused, Done]
        assert isinstance(outcomes[0], Refused)
        assert "no_such_field" in outcomes[0].reason

    async def test_a_repeat_changes_nothing(self) -> None:
        crm = await self.open_crm()
        first = await crm.upsert([ADA])

        again = await crm.upsert([ADA])

        assert first == again
        assert await self.read_back(ADA.email) == {"email": ADA.email, **ADA.fields}

    async def test_fields_that_are_not_named_stay_and_an_empty_one_is_cleared(self) -> None:
        crm = await self.open_crm()
        await crm.upsert([ADA])

        await crm.upsert([replace(ADA, fields={"firstname": ""})])

        assert await self.read_back(ADA.email) == {"email": ADA.email, "lastname": "Lovelace"}

    async def test_a_known_contact_may_get_another_address(self) -> None:
        crm = await self.open_crm()
        (made,) = await crm.upsert([ADA])
        assert isinstance(made, Done)

        (moved,) = await crm.upsert([replace(ADA, email="countess@example.com", record_id=made.reference)])

        assert moved == made
        assert await self.read_back(ADA.email) is None
        assert await self.read_back("countess@example.com") == {"email": "countess@example.com", **ADA.fields}

    async def test_a_contact_that_was_removed_is_refused_and_hides_no_other_fate(self) -> None:
        crm = await self.open_crm()
        (made,) = await crm.upsert([ADA])
        assert isinstance(made, Done)

        outcomes = await crm.upsert([replace(BOB, record_id="999999999999"), replace(ADA, record_id=made.reference)])

        assert [type(outcome) for outcome in outcomes] == [Refused, Done]

    async def test_what_is_read_and_not_there_is_none(self) -> None:
        crm = await self.open_crm()
        (made,) = await crm.upsert([ADA])
        assert isinstance(made, Done)

        missing, ada = await crm.read(["999999999999", made.reference], ["lastname"])

        assert missing is None
        assert ada is not None
        assert (ada.record_id, ada.email, ada.fields) == (made.reference, ADA.email, {"lastname": "Lovelace"})

    async def test_nothing_is_asked_for_nothing(self) -> None:
        crm = await self.open_troubled("gone")

        assert list(await crm.upsert([])) == []
        assert list(await crm.read([], ["firstname"])) == []

    async def test_a_full_batch_is_taken_and_a_larger_one_is_not(self) -> None:
        crm = await self.open_crm()
        most = crm.limits.batch_size
        patches = [ContactPatch(email=f"p{one}@example.com", fields={"firstname": str(one)}) for one in range(most + 1)]

        outcomes = await crm.upsert(patches[:most])

        assert len({outcome.reference for outcome in outcomes if isinstance(outcome, Done)}) == most
        with pytest.raises(ValueError, match=str(most)):
            await crm.upsert(patches)

    async def test_it_says_what_fields_there_are(self) -> None:
        fields = await (await self.open_crm()).fields()

        assert fields["firstname"] is True
        assert "no_such_field" not in fields

    @pytest.mark.parametrize("trouble", ["throttled", "broken", "gone"])
    async def test_a_call_that_failed_says_when_to_try_again(self, trouble: Trouble) -> None:
        crm = await self.open_troubled(trouble)

        with pytest.raises(Unreachable) as caught:
            await crm.upsert([ADA])

        assert caught.value.after > 0
        assert str(caught.value)

    async def test_a_key_that_it_does_not_know_needs_a_person(self) -> None:
        crm = await self.open_troubled("wrong_key")

        with pytest.raises(AccessRefused):
            await crm.upsert([ADA])

    async def test_an_edit_of_a_person_is_told(self) -> None:
        crm = await self.open_crm()
        (made,) = await crm.upsert([ADA])
        assert isinstance(made, Done)

        callbacks = await self.edit(made.reference, {"firstname": "Augusta", "lastname": ""})

        edits = {edit.id: edit for callback in callbacks for edit in crm.edits(callback)}.values()
        mine = {(edit.record_id, edit.field): edit.value for edit in sorted(edits, key=lambda edit: edit.at)}
        assert mine[made.reference, "firstname"] == "Augusta"
        assert mine[made.reference, "lastname"] == ""
        assert all(abs(edit.at - callbacks[0].received_at) < HOUR for edit in edits)

    async def test_a_callback_that_was_not_signed_so_is_not_believed(self) -> None:
        crm = await self.open_crm()
        (made,) = await crm.upsert([ADA])
        assert isinstance(made, Done)
        callbacks = await self.edit(made.reference, {"firstname": "Augusta"})
        genuine = next(callback for callback in callbacks if b"Augusta" in callback.body)
        crm.edits(genuine)

        for forged in (
            replace(genuine, body=genuine.body.replace(b"Augusta", b"Mallory")),
            replace(genuine, body=genuine.body + b" "),
            replace(genuine, headers={}),
            replace(genuine, headers={name: value[:-3] + "AAA" for name, value in genuine.headers.items()}),
            replace(genuine, headers=dict.fromkeys(genuine.headers, "")),
            replace(genuine, headers=dict.fromkeys(genuine.headers, "é\x00")),
            replace(genuine, received_at=genuine.received_at + HOUR),
        ):
            with pytest.raises(Forged):
                crm.edits(forged)

    @abstractmethod
    def signed(self, body: bytes) -> Callback:
        """A callback with this body, signed as the CRM of `open_crm` signs."""

    @pytest.mark.parametrize("body", [b"", b"{", b"null", b"7", b"[7]", b'[{"objectId":{}}]', b"\xff", b"[" * 5000])
    async def test_a_signed_callback_that_says_nothing_sensible_is_told_so(self, body: bytes) -> None:
        crm = await self.open_crm()

        with pytest.raises(BadCallback) as caught:
            crm.edits(self.signed(body))

        assert not isinstance(caught.value, Forged)
