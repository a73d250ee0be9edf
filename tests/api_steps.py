"""Steps of the tests that read the API over a small shop."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asgi import Answer, App
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.memory.merge_requests import MemoryMergeRequests
from obverse.adapters.memory.outbox import MemoryOutbox
from obverse.adapters.memory.proposals import MemoryProposals
from obverse.adapters.memory.replays import MemoryReplays
from obverse.adapters.memory.sessions import MemorySessions
from obverse.adapters.memory.sync_queue import MemorySyncQueue
from obverse.adapters.memory.trait_runs import MemoryTraitRuns
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.api.app import ApiParts, build
from obverse.apps.metrics import new_registry
from obverse.core.definitions import Definitions
from obverse.flows.apply_definitions import ApplyDefinitions
from obverse.flows.ask_identity import AskIdentity
from obverse.flows.ask_replay import AskReplay
from obverse.flows.browse import Browse
from obverse.flows.decide import Decide
from obverse.flows.edit_definitions import EditDefinitions
from obverse.flows.explain import Explain
from obverse.flows.history import History
from obverse.flows.live import Live
from obverse.flows.measure import Measure
from obverse.flows.messages import Messages
from obverse.flows.preview import Preview
from obverse.flows.review import Review
from obverse.flows.sign_in import SignIn
from obverse.flows.syncs import Syncs
from obverse.wiring import checks, routes
from reading import DEFINITIONS, Shop, identify, open_shop, track

_ROUTES, _CHECKS = routes(), checks()  # once: what is installed is looked through for each


@asynccontextmanager
async def open_api_shop() -> AsyncIterator[Shop]:
    """A shop with one customer, who is in the cache and in the store."""
    opened = await open_shop()
    await opened.fold(
        track(0, "0.10", anonymous_id="a-1"),
        identify(1, '{"email": "Ada@Example.com", "score": 1.50}', user_id="ada", anonymous_id="a-1"),
        track(2, "1000.20", user_id="ada"),
    )
    await opened.checkpoint()
    yield opened
    await opened.close()


def build_api(shop: Shop, **options: Any) -> App:
    """The API that reads this shop, as it is wired but for these options."""
    runtime = open_runtime()
    store = options.setdefault("definition_store", MemoryDefinitionStore())
    known: dict[str, Any] = {
        "serve": shop.serve,
        "syncs": Syncs(MemorySyncQueue(runtime), Definitions, runtime),
        "messages": Messages(MemoryOutbox(runtime), shop.serve, Definitions, runtime),
        "ask_identity": AskIdentity(shop.faulty_store, shop.serve, runtime, lambda: secrets.token_urlsafe(16)),
        "ask_replay": AskReplay(MemoryReplays(), runtime),
        "preview": Preview(shop.faulty_store, lambda: DEFINITIONS, runtime),
        "explain": Explain(shop.serve, lambda: DEFINITIONS, runtime),
        "measure": Measure(shop.faulty_store, MemoryTraitRuns(), lambda: DEFINITIONS),
        "browse": Browse(shop.faulty_store, lambda: DEFINITIONS),
        "history": History(shop.faulty_store, shop.serve, lambda: DEFINITIONS, runtime),
        "review": Review(shop.faulty_store),
        "decide": Decide(MemoryProposals(), shop.faulty_store, MemoryMergeRequests(), lambda: DEFINITIONS, runtime),
        "edit_definitions": EditDefinitions(store, ApplyDefinitions(store, _CHECKS, runtime)),
        "live": Live(shop.faulty_log, runtime),
        "sign_in": SignIn(MemorySessions(), runtime, lambda: secrets.token_urlsafe(32)),
        "runtime": runtime,
        "registry": new_registry("api"),
        "routes": _ROUTES,
    }
    return build(ApiParts(**known | options))


def is_problem(answer: Answer, status: int, kind: str) -> bool:
    """Whether an answer is a problem of this kind, with words for a person in it."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status == answer.json["status"] == status
    assert answer.json["type"] == f"urn:obverse:problem:{kind}"
    return bool(answer.json["title"] and answer.json["detail"] and answer.json["remedy"])
