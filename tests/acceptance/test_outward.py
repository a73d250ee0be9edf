"""The road outward in a whole installation: an edit there is here, and a change here is there, in two seconds."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
import yaml
from stopwatch import quickest

from installation import Installation, installation, kill, running, until
from obverse.apps.demo.account import connect, set_up_account
from obverse.apps.own_secrets import own_secret
from obverse.apps.sandbox import HUBSPOT_TOKEN
from relay import Relay
from relay import running as relay_running

pytestmark = pytest.mark.service

DEFINITIONS = """
version: obverse/v1
kind: trait
metadata: {name: orders}
spec: {aggregate: count, event: Order Completed}
---
version: obverse/v1
kind: trait
metadata: {name: lifetime_value}
spec: {aggregate: sum, event: Order Completed, property: revenue}
---
version: obverse/v1
kind: audience
metadata: {name: big_spenders}
spec: {where: {op: gte, trait: lifetime_value, value: 1000}}
---
version: obverse/v1
kind: template
metadata: {name: welcome}
spec: {subject: "Hello {{ customer.firstName }}", from: "shop@example.com", text: "Hello {{ trigger.code }}"}
---
version: obverse/v1
kind: campaign
metadata: {name: thanks}
spec: {trigger: entered big_spenders, template: welcome}
"""


@contextmanager
def unused_port() -> Iterator[int]:
    """A port that is taken, and where nobody answers: whoever calls there is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def in_crm(condition: Any) -> Any:
    """Wait for what the account's API tells: it allows 190 requests in ten seconds, to us and to the test together."""
    return await until(condition, every=0.2)


class Outward:
    """An installation with a HubSpot account, and steps in it."""

    def __init__(self, here: Installation) -> None:
        self.here = here
        self.sent = 0

    @property
    def sandbox(self) -> str:
        return str(self.here.note["sandbox"])

    async def tell(self, user: str, type_: str = "identify", **fields: Any) -> None:
        self.sent += 1
        body = {"userId": user, "messageId": f"m-{self.sent}", **fields}
        key = b64encode(f"{self.here.key}:".encode()).decode()
        status, _ = await self.here.post(f"/v1/{type_}", body, Authorization=f"Basic {key}")
        assert status == 200

    async def ask(self, url: str, method: str = "GET", body: Any = None, **headers: str) -> Any:
        async with self.here.http.request(method, url, json=body, headers=headers) as answer:
            assert answer.ok, await answer.text()
            return msgspec.json.decode(await answer.read())

    async def contacts(self) -> dict[str, dict[str, Any]]:
        """By address: id and properties."""
        token = own_secret(self.here.data, HUBSPOT_TOKEN)
        properties = "email,firstname,orders_completed,big_spender"
        found = await self.ask(
            f"{self.sandbox}/hubspot/crm/v3/objects/contacts?limit=100&properties={properties}",
            Authorization=f"Bearer {token}",
        )
        return {one["properties"]["email"]: {"id": one["id"], **one["properties"]} for one in found["results"]}

    async def attribute(self, user: str, name: str) -> tuple[Any, Any]:
        status, profile = await self.here.get(f"/v1/profiles/user_id:{user}")
        told = profile["attributes"].get(name, {}) if status == 200 else {}
        return told.get("value"), told.get("source")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outward(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outward]:
    data = tmp_path_factory.mktemp("out")
    folder = data / "definitions"
    folder.mkdir()
    for number, document in enumerate(yaml.safe_load_all(DEFINITIONS)):
        (folder / f"{number}.yml").write_text(yaml.safe_dump(document))
    async with installation(data, OBVERSE_SANDBOX__HUBSPOT="true") as here:
        async with aiohttp.ClientSession() as http:
            hubspot = f"{here.note['sandbox']}/hubspot"
            callbacks = f"{here.note['collector']}/webhooks/crm/hubspot"
            await set_up_account(http, hubspot, own_secret(data, HUBSPOT_TOKEN), callbacks)
        connect(folder, hubspot)
        steps = Outward(here)
        await steps.tell("first", traits={"email": "first@example.com", "firstName": "First"})

        async def there() -> bool:
            return "first@example.com" in await steps.contacts()

        await in_crm(there)
        yield steps


@pytest.mark.asyncio(loop_scope="module")
class TestRoundTrip:
    """One installation for all of them."""

    async def test_a_change_is_in_the_crm_and_an_edit_on_the_profile_within_two_seconds(self, outward: Outward) -> None:
        async def contact_says(name: str) -> Any:
            contact = (await outward.contacts()).get("ada@example.com")
            return contact if contact and contact["firstname"] == name else None

        await outward.tell("ada", traits={"email": "ada@example.com", "firstName": "Ada"})
        contact = await in_crm(lambda: contact_says("Ada"))
        edited = f"{outward.sandbox}/hubspot/sandbox/contacts/{contact['id']}"
        names = ["Ada"]

        async def back() -> None:
            names.insert(0, f"Augusta {len(names)}")
            await outward.ask(edited, "PUT", {"properties": {"firstname": names[0]}})

            async def profile_says() -> bool:
                return await outward.attribute("ada", "firstName") == (names[0], "hubspot")

            await until(profile_says)

        async def out() -> None:
            names.insert(0, f"Countess {len(names)}")
            await outward.tell("ada", traits={"firstName": names[0]})
            await in_crm(lambda: contact_says(names[0]))

        assert await quickest(back, enough=2) < 2
        assert await quickest(out, enough=2) < 2

        history = await outward.ask(
            f"{outward.sandbox}/hubspot/crm/v3/objects/contacts/{contact['id']}?propertiesWithHistory=firstname",
            Authorization=f"Bearer {own_secret(outward.here.data, HUBSPOT_TOKEN)}",
        )
        told = [one["value"] for one in history["propertiesWithHistory"]["firstname"]]
        assert told == names, "nobody wrote back what was edited"
        status, profile = await outward.here.get("/v1/profiles/user_id:ada")
        assert status == 200
        told_by = [one["source"] for one in profile["attributes"]["firstName"]["previous"]]
        assert (told_by[-1], set(told_by)) == ("test", {"hubspot", "test"})

    async def test_a_value_that_is_restored_is_in_the_crm_and_one_that_was_not_told_is_empty_there(
        self, outward: Outward
    ) -> None:
        api = outward.here.note["api"]

        async def contact() -> Any:
            return (await outward.contacts()).get("rita@example.com", {}).get("firstname")

        async def says(name: str | None) -> bool:
            return bool(await contact() == name)

        await outward.tell("rita", traits={"email": "rita@example.com"})
        await until(outward.here.drained)
        nameless = (await outward.here.get("/v1/profiles/user_id:rita"))[1]["changed_at"]
        await outward.tell("rita", traits={"firstName": "Rita"})
        await in_crm(lambda: says("Rita"))
        await until(outward.here.drained)
        named = (await outward.here.get("/v1/profiles/user_id:rita"))[1]["changed_at"]
        await outward.tell("rita", traits={"firstName": "Mistake"})
        await in_crm(lambda: says("Mistake"))
        await until(outward.here.drained)

        await outward.ask(f"{api}/v1/profiles/user_id:rita/restore", "POST", {"as_of": named})
        await in_crm(lambda: says("Rita"))
        assert await outward.attribute("rita", "firstName") == ("Rita", "obverse")
        await until(outward.here.drained)
        await outward.ask(f"{api}/v1/profiles/user_id:rita/restore", "POST", {"as_of": nameless})

        async def empty() -> bool:
            return not await contact()

        await in_crm(empty)
        assert await outward.attribute("rita", "firstName") == (None, "obverse")

    async def test_a_dead_sandbox_harms_nobody_and_gets_everything_later(self, outward: Outward) -> None:
        note = running(outward.here.data)
        assert note is not None
        took = []
        for number in range(20):
            if number % 4 == 0:
                kill((running(outward.here.data) or note)["pids"]["sandbox"])
            began = time.monotonic()
            address = f"dead{number}@example.com"
            await outward.tell(f"dead{number}", traits={"email": address, "firstName": str(number)})
            await outward.tell(f"dead{number}", "track", event="Order Completed", properties={"revenue": 2000})

            async def visible(number: int = number) -> bool:
                value, _ = await outward.attribute(f"dead{number}", "firstName")
                return bool(value == str(number))

            await until(visible)
            took.append(time.monotonic() - began)
        # Whoever waits for the dead one waits most times; a busy machine holds up a few.
        assert median(took) < 2, took

        async def all_there() -> bool:
            try:
                contacts = await outward.contacts()
                mails = await outward.ask(f"{outward.sandbox}/inbox/figures")
            except (aiohttp.ClientError, TimeoutError):
                return False
            there = [contacts.get(f"dead{number}@example.com", {}).get("big_spender") for number in range(20)]
            return bool(there == ["true"] * 20 and mails["distinct"] >= 20)

        await in_crm(all_there)
        mails = await outward.ask(f"{outward.sandbox}/inbox/figures")
        assert mails["messages"] == mails["distinct"] == 20

    async def test_a_dead_crm_leaves_profiles_and_mail_as_fast_as_before(self, outward: Outward) -> None:
        here = outward.here
        api = here.note["api"]

        async def cut_off() -> bool:
            connections = (await outward.ask(f"{api}/v1/connections"))["connections"]
            return any(one["state"] == "unreachable" and one["waiting"] for one in connections)

        with unused_port() as port:
            connect(here.data / "definitions", f"http://127.0.0.1:{port}")

            async def noticed() -> bool:
                """Each role reads the folder in its own time: what is told before that goes where it went before."""
                await outward.tell("lone", traits={"email": "lone@example.com", "firstName": f"Lone {outward.sent}"})
                return await cut_off()

            await until(noticed)
            alone = 0

            async def as_before() -> None:
                nonlocal alone
                alone += 1
                user = f"alone{alone}"
                await outward.tell(user, traits={"email": f"{user}@example.com", "firstName": "Alone"})
                await outward.tell(user, "track", event="Order Completed", properties={"revenue": 2000})

                async def written_to() -> bool:
                    found = await outward.ask(f"{outward.sandbox}/inbox/messages?q={user}@example.com")
                    return bool(found["total"] == 1)

                await until(written_to)
                assert await outward.attribute(user, "firstName") == ("Alone", "test")

            assert await quickest(as_before, enough=2) < 2
            assert await cut_off()
        connect(here.data / "definitions", f"{outward.sandbox}/hubspot")

        async def there() -> bool:
            return (await outward.contacts()).get("alone1@example.com", {}).get("firstname") == "Alone"

        await in_crm(there)

    async def test_a_message_goes_to_the_inbox_once_a_key(self, outward: Outward) -> None:
        before = (await outward.ask(f"{outward.sandbox}/inbox/figures"))["messages"]
        api = outward.here.note["api"]
        body = {"template": "welcome", "to": "eve@example.com", "data": {"code": "x-17"}}
        first = await outward.ask(f"{api}/v1/messages", "POST", body, **{"Idempotency-Key": "k1"})
        again = await outward.ask(f"{api}/v1/messages", "POST", body, **{"Idempotency-Key": "k1"})
        assert first == again

        async def sent() -> bool:
            message = await outward.ask(f"{api}/v1/messages/{first['id']}")
            return bool(message["status"] == "sent")

        await until(sent)
        assert (await outward.ask(f"{outward.sandbox}/inbox/figures"))["messages"] == before + 1
        found = await outward.ask(f"{outward.sandbox}/inbox/messages?q=x-17")
        assert [one["to"] for one in found["messages"]] == [["eve@example.com"]]

    async def test_a_forged_callback_is_refused(self, outward: Outward) -> None:
        url = f"{outward.here.note['collector']}/webhooks/crm/hubspot"
        kind = {"subscriptionType": "contact.propertyChange", "propertyName": "firstname"}
        edit = [{**kind, "objectId": 1, "occurredAt": 1}]
        old = str(int((time.time() - 600) * 1000))
        for stamp in (old, str(int(time.time() * 1000)), ""):
            headers = {"X-HubSpot-Signature-v3": "bm9wZQ==", "X-HubSpot-Request-Timestamp": stamp}
            async with outward.here.http.post(url, json=edit, headers=headers) as answer:
                assert answer.status == 401
                assert (await answer.json())["message"]


async def test_a_relay_that_hangs_after_the_last_dot_leaves_a_doubt_for_a_person(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = tmp_path_factory.mktemp("hung")
    folder = data / "definitions"
    folder.mkdir()
    for number, document in enumerate(yaml.safe_load_all(DEFINITIONS)):
        (folder / f"{number}.yml").write_text(yaml.safe_dump(document))
    relay = Relay()
    settings = {"ADAPTER": "smtp", "SMTP__HOST": "127.0.0.1", "SMTP__TLS": "none", "SMTP__TIMEOUT": "0.5"}
    async with relay_running(relay):
        settings["SMTP__PORT"] = str(relay.port)
        own = {f"OBVERSE_EMAIL_SERVICE__{name}": one for name, one in settings.items()}
        async with installation(data, **own) as here:
            steps = Outward(here)

            async def send(to: str, key: str) -> str:
                body = {"template": "welcome", "to": to}
                told = await steps.ask(f"{here.note['api']}/v1/messages", "POST", body, **{"Idempotency-Key": key})
                return str(told["id"])

            hung = await send("hung@example.com", "one")

            async def has(id_: str, status: str) -> Any:
                message = await steps.ask(f"{here.note['api']}/v1/messages/{id_}")
                return message if message["status"] == status else None

            message = await until(lambda: has(hung, "unknown"))
            assert message["attempts"]
            # A mail that went after it has long arrived, and so would another try of the first.
            after = await send("after@example.com", "two")
            await until(lambda: has(after, "sent"))
            kill(here.note["pids"]["worker"])
            later = await send("later@example.com", "three")
            await until(lambda: has(later, "sent"))
            listed = await steps.ask(f"{here.note['api']}/v1/messages?status=unknown")
            assert [one["id"] for one in listed["messages"]] == [hung]
            assert relay.recipients == ["hung@example.com", "after@example.com", "later@example.com"]

            again = {"as": "resend"}
            await steps.ask(f"{here.note['api']}/v1/messages/{hung}/resolve", "POST", again)
            await until(lambda: has(hung, "unknown"))
            assert relay.recipients.count("hung@example.com") == 2, "once more, since a person said so"
            await steps.ask(f"{here.note['api']}/v1/messages/{hung}/resolve", "POST", {"as": "sent"})
            assert await has(hung, "sent")
