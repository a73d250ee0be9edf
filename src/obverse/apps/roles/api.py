"""The api: serves profiles, the console and all that people ask for."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from functools import partial

from obverse.apps import http_door
from obverse.apps.own_secrets import API_KEY, own_secret
from obverse.apps.roles.opening import Doors, closed_with, open_definitions, open_stores, start, until_moved
from obverse.settings import Settings
from obverse.wiring import Wiring, routes


def api_key(settings: Settings) -> str:
    """The key that programs read the API with: the one that is set, else one that the installation makes for itself."""
    return settings.api.key.get_secret_value() if settings.api.key else own_secret(settings.data, API_KEY)


async def api(wiring: Wiring, doors: Doors, stop: asyncio.Event) -> int:
    """Answer until it is stopped."""
    from obverse.apps.api.app import ApiParts, build
    from obverse.apps.definition_project import compare_folder
    from obverse.apps.loads.kept import KeptLoads
    from obverse.apps.metrics import new_registry
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
    from obverse.flows.syncs import Syncs

    settings = wiring.settings
    async with AsyncExitStack() as stack:
        log, store, cache = await open_stores(stack, wiring)
        definition_store, definitions = await open_definitions(stack, wiring)
        start(stack, wiring, stop, {"definitions": definitions.watch(), "log": until_moved(log, stop)})
        queue = closed_with(stack, await wiring.sync_queue())
        outbox = closed_with(stack, await wiring.outbox())
        serve = Serve(store=store, cache=cache, definitions=definitions.current, log=log)
        sessions = closed_with(stack, await wiring.sessions())
        proposals = closed_with(stack, await wiring.proposals())
        trait_runs = closed_with(stack, await wiring.trait_runs())
        replays = closed_with(stack, await wiring.replays())
        live = Live(log, wiring.runtime)
        apply = wiring.apply_definitions(definition_store)
        most = settings.load.upload_mb << 20
        loads = KeptLoads(settings.data, wiring.runtime, most_bytes=most, new_id=lambda: secrets.token_hex(8))
        start(stack, wiring, stop, {"live": live.end_at(stop), "loads": loads.run()})
        parts = ApiParts(
            messages=Messages(outbox, serve, definitions.current, wiring.runtime, log=log),
            syncs=Syncs(queue, definitions.current, wiring.runtime, log=log),
            serve=serve,
            preview=Preview(store, definitions.current, wiring.runtime),
            explain=Explain(serve, definitions.current, wiring.runtime),
            measure=Measure(store, trait_runs, definitions.current),
            history=History(store, serve, definitions.current, wiring.runtime),
            runtime=wiring.runtime,
            registry=new_registry("api"),
            ask_identity=AskIdentity(store, serve, wiring.runtime, lambda: secrets.token_urlsafe(16)),
            ask_replay=AskReplay(replays, wiring.runtime),
            browse=Browse(store, definitions.current),
            review=Review(store),
            decide=Decide(proposals, store, wiring.merge_requests(store), definitions.current, wiring.runtime),
            live=live,
            workspace=settings.workspace,
            definitions=definitions.current,
            definition_store=definition_store,
            edit_definitions=EditDefinitions(definition_store, apply),
            compare_folder=partial(compare_folder, settings, apply) if wiring.folder_is_live else None,
            definitions_folder=settings.definitions_folder if wiring.folder_is_live else None,
            inbox_url=wiring.inbox_url(),
            loads=loads,
            sign_in=wiring.sign_in(sessions),
            space_requests_per_second=settings.api.space_requests_per_second or None,
            api_key=api_key(settings),
            routes=routes(),
        )
        await http_door.serve(build(parts), doors["api"], stop)
    return 0
