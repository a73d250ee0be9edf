"""Rewrites `openapi.json`, the document that the API is held to: `python -m obverse.apps.api.openapi`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.memory.event_log import MemoryLogSettings, open_event_log
from obverse.adapters.memory.merge_requests import MemoryMergeRequests
from obverse.adapters.memory.outbox import MemoryOutbox
from obverse.adapters.memory.profile_cache import MemoryCacheSettings, open_profile_cache
from obverse.adapters.memory.profile_store import MemoryStoreSettings, open_profile_store
from obverse.adapters.memory.proposals import MemoryProposals
from obverse.adapters.memory.replays import MemoryReplays
from obverse.adapters.memory.sessions import MemorySessions
from obverse.adapters.memory.sync_queue import MemorySyncQueue
from obverse.adapters.memory.trait_runs import MemoryTraitRuns
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.api.app import ApiParts, build
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
from obverse.flows.serve import Serve
from obverse.flows.sign_in import SignIn
from obverse.flows.syncs import Syncs
from obverse.wiring import checks, routes

PATH: Final = Path(__file__).with_name("openapi.json")


def pretty(tree: dict[str, Any]) -> str:
    """The document as it is committed."""
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


async def generate() -> dict[str, Any]:
    """The document of an API that has the routes of this package, and nothing to read."""
    runtime = open_runtime()
    store = await open_profile_store(MemoryStoreSettings(), runtime)
    serve = Serve(
        store=store,
        cache=await open_profile_cache(MemoryCacheSettings(), runtime),
        definitions=Definitions,
    )
    definition_store = MemoryDefinitionStore()
    parts = ApiParts(
        serve=serve,
        syncs=Syncs(MemorySyncQueue(runtime), Definitions, runtime),
        messages=Messages(MemoryOutbox(runtime), serve, Definitions, runtime),
        ask_identity=AskIdentity(store, serve, runtime, str),
        ask_replay=AskReplay(MemoryReplays(), runtime),
        browse=Browse(store, Definitions),
        preview=Preview(store, Definitions, runtime),
        explain=Explain(serve, Definitions, runtime),
        measure=Measure(store, MemoryTraitRuns(), Definitions),
        history=History(store, serve, Definitions, runtime),
        review=Review(store),
        decide=Decide(MemoryProposals(), store, MemoryMergeRequests(), Definitions, runtime),
        definition_store=definition_store,
        edit_definitions=EditDefinitions(definition_store, ApplyDefinitions(definition_store, checks(), runtime)),
        live=Live(await open_event_log(MemoryLogSettings(), runtime), runtime),
        sign_in=SignIn(MemorySessions(), runtime, str),
        runtime=runtime,
        registry=CollectorRegistry(),
        routes=routes(),
    )
    return build(parts).openapi()


def main() -> None:
    """Write it."""
    PATH.write_text(pretty(asyncio.run(generate())), encoding="utf-8")


if __name__ == "__main__":
    main()
