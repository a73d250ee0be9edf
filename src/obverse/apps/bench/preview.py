"""`obverse bench preview`: how long counting takes, node by node, over many profiles in PostgreSQL."""

from __future__ import annotations

import resource
import shutil
from time import perf_counter
from typing import Any, Final

import asyncpg
import msgspec

from obverse.adapters.postgres import schema
from obverse.adapters.postgres.profile_store import PostgresStoreSettings, open_profile_store
from obverse.adapters.postgres.server import EmbeddedServer
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.bench.fold import introduced
from obverse.apps.bench.installed import new_folder
from obverse.apps.bench.machine import database_settings, machine
from obverse.core import documents
from obverse.core.definitions import Definitions
from obverse.core.profiles import pack, parts
from obverse.core.traits.moments import Last
from obverse.core.traits.numbers import Count, Sum
from obverse.flows.preview import NodeView, Preview

# Rows as wide as those of eight traits, eight attributes and three identifiers.
_PROFILES: Final = """
insert into public.customer_profiles
    (id, workspace_id, identity_graph, computed_traits, attributes, consents, groups, known, state, timestamp, number)
select md5(one::text)::uuid, 'main', '{"identifiers": [], "edges": []}',
    jsonb_build_object('orders', one % 20, 'spent', (one::bigint * 7919 % 100000) / 100.0, 'visits', one % 300,
        'seen', to_char(now() - make_interval(mins => one % 500000), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'product', 'sku-' || one % 5000, 'average', (one % 977) / 10.0, 'variety', one % 40, 'largest', one % 1000),
    jsonb_build_object('email', 'person' || one || '@example.com',
        'city', (array['Wien', 'Bern', 'Berlin'])[1 + one % 3], 'country', (array['AT', 'CH', 'DE'])[1 + one % 3],
        'first_name', 'Ada', 'last_name', 'L' || one, 'plan', 'pro',
        'age', 18 + one % 70, 'vip', one % 50 = 0),
    jsonb_build_object('mail', one % 4 <> 0),
    case when one % 10 = 0 then array['group-' || one % 100] else '{}' end,
    $2, $3, now(),
    nextval('public.customer_profiles_number_seq')
from generate_series(1, $1::integer) as one
"""
_IDENTIFIERS: Final = """
insert into public.profile_identifiers (workspace_id, identifier, profile_id)
select 'main', kind || ':' || case kind when 'email' then 'person' || one || '@example.com' else one::text end,
    md5(one::text)::uuid
from generate_series(1, $1::integer) as one cross join unnest(array['user_id', 'anonymous_id', 'email']) as kind
"""
_MEMBERS: Final = """
insert into public.audience_members (workspace_id, audience, profile_id, number, since)
select 'main', name, md5(one::text)::uuid, 1, now()
from generate_series(1, $1::integer) as one
cross join (values ('often', 3), ('rich', 5), ('quiet', 7)) as audience (name, part)
where one % part = 0
"""
_EVENTS: Final = """
insert into public.event_stream
    (workspace_id, profile_id, event_type, type, name, source, message_id, ingested_at, timestamp, properties)
select 'main', md5((one % $2::integer + 1)::text)::uuid, 'Order Completed', 'track', 'Order Completed', 'bench',
    'm-' || one, now(), now() - make_interval(mins => one % 20000), jsonb_build_object('total', one % 200)
from generate_series(1, $1::integer) as one
"""

_TREE: Final = {
    "op": "and",
    "of": [
        {"op": "gte", "trait": "orders", "value": 2},
        {"op": "gt", "trait": "spent", "value": 100.5},
        {"op": "in", "attribute": "country", "value": ["AT", "DE"]},
        {"op": "eq", "consent": "mail", "value": True},
        {"op": "not", "of": {"op": "within_last", "trait": "seen", "value": "7 days"}},
        {
            "op": "or",
            "of": [
                {"op": "contains", "attribute": "email", "value": "9@"},
                {"op": "eq", "attribute": "vip", "value": True},
                {"op": "member", "audience": "rich"},
                {"op": "member", "group": "group-10"},
            ],
        },
    ],
}
_OTHER: Final = {"op": "gt", "trait": "spent", "value": 250}
_EVENT: Final = {"op": "did", "event": "Order Completed", "times": 2, "within": "14 days"}


async def bench_preview(*, people: int, events: int) -> dict[str, Any]:
    """Fill a store with made profiles, and count conditions over them."""
    folder = new_folder()
    server = EmbeddedServer(folder / "data")
    await server.start()
    try:
        await schema.migrate(server.dsn("obverse_owner"))
        filled = await _fill(server.dsn("obverse_owner"), people, events)
        figures = await _measure(server.dsn("obverse_api"))
        return {
            "people": people,
            "events": events,
            "machine": machine(),
            "postgres": await database_settings(server.dsn("obverse_owner")),
            "filled_in_s": filled,
            **figures,
            # Reading them is a part of what a look costs.
            "flaws": [f"{name} showed nobody" for name, look in figures.items() if not look["shown"]],
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    finally:
        await server.stop()
        await server.erase()
        shutil.rmtree(folder, ignore_errors=True)


async def _fill(dsn: str, people: int, events: int) -> float:
    began = perf_counter()
    owner = await asyncpg.connect(dsn)
    try:
        # As wide as everybody's, and such that whoever is shown can be read.
        (one,) = introduced(1).profiles.values()
        known, state = parts(pack(one, _definitions()))
        await owner.execute(_PROFILES, people, known, state)
        for statement in (_IDENTIFIERS, _MEMBERS):
            await owner.execute(statement, people)
        await owner.execute("select public.event_stream_prepare($1)", events)
        await owner.execute(_EVENTS, events, people)
        await owner.execute("vacuum analyze")
    finally:
        await owner.close()
    return round(perf_counter() - began, 1)


def _definitions() -> Definitions:
    def document(kind: str, name: str, **spec: Any) -> tuple[str, Any]:
        return name, {"version": "obverse/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    return documents.read(
        [
            document("trait", "orders", aggregate="count", event="Order Completed"),
            document("trait", "spent", aggregate="sum", event="Order Completed", property="total"),
            document("trait", "seen", aggregate="last", event="Order Completed", field="timestamp"),
            document("audience", "often", where={"op": "gte", "trait": "orders", "value": 10}),
            document("audience", "rich", where={"op": "gte", "trait": "spent", "value": 800}),
            document("audience", "quiet", where={"op": "lte", "trait": "orders", "value": 1}),
        ],
        {"count": Count(), "sum": Sum(), "last": Last()},
    )


async def _measure(dsn: str) -> dict[str, Any]:
    runtime = open_runtime()
    store = await open_profile_store(PostgresStoreSettings(dsn=dsn), runtime)
    try:
        preview = Preview(store, _definitions, runtime)
        whole = _TREE["of"]
        assert isinstance(whole, list)  # noqa: S101 - for the types
        return {
            "first_look": await _look(preview, _TREE),
            "same_again": await _look(preview, _TREE),
            "one_test_changed": await _look(preview, {"op": "and", "of": [whole[0], _OTHER, *whole[2:]]}),
            "without_overlaps": await _look(Preview(store, _definitions, runtime), _TREE, overlaps=False),
            "with_events": await _look(Preview(store, _definitions, runtime), {"op": "and", "of": [whole[0], _EVENT]}),
        }
    finally:
        await store.close()


async def _look(preview: Preview, tree: Any, *, overlaps: bool = True) -> dict[str, Any]:
    """One look, as the API takes it: some people are read, and overlaps are counted, unless that is said."""
    condition = preview.read(tree)
    began = perf_counter()
    found = await preview.preview(condition, overlaps=overlaps)
    return {
        "seconds": round(perf_counter() - began, 3),
        "people": found.people,
        "count": found.count,
        "shown": len(found.sample),
        "nodes": _nodes(found.node),
        "overlaps": {one.audience: one.both for one in found.overlaps},
    }


def _nodes(node: NodeView) -> list[str]:
    said = msgspec.json.encode({key: value for key, value in node.condition.items() if key != "of"}).decode()
    return [f"{node.count} {said}", *(line for part in node.of for line in _nodes(part))]
