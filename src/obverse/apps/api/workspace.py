"""Routes that tell of the workspace and of this process."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.responses import Response

from obverse.apps.api.errors import Refusal, refuse, respond
from obverse.apps.api.parts import ApiParts
from obverse.apps.api.schema import describe
from obverse.apps.metrics import CONTENT_TYPE, exposition
from obverse.core import json_values
from obverse.flows.serve import Serve
from obverse.flows.views import ComponentView, OverviewView

_ROBOTS: Final = b"User-agent: *\nDisallow: /\n"


class Health(msgspec.Struct, frozen=True):
    """This process lives."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """Whether profiles can be read."""

    status: Annotated[
        Literal["ready", "degraded"],
        Meta(description="`degraded`: the worker is away, so profiles are as of the last checkpoint."),
    ]
    components: list[ComponentView]


class Release(msgspec.Struct, frozen=True):
    """What runs."""

    version: str
    python: str


def routes(parts: ApiParts) -> APIRouter:
    """Entry point `obverse.route:workspace`."""
    router = APIRouter()
    _add_figures(router, parts)
    _add_readiness(router, parts.serve)
    _add_process(router, parts)
    return router


def _add_figures(router: APIRouter, parts: ApiParts) -> None:
    serve, syncs, messages = parts.serve, parts.syncs, parts.messages

    @router.get(
        "/v1/overview",
        tags=["workspace"],
        summary="Figures of the workspace",
        operation_id="overview",
        **describe(OverviewView, "The figures.", HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def overview() -> Response:
        # In the order of the road: all at zero then means that what was in the log when we were asked is done.
        figures = await serve.overview()
        behind = {"activate": await syncs.behind(), "deliver": await messages.behind()}
        connections = await syncs.briefs()
        counts = {str(status): count for status, count in (await messages.counts()).items()}
        whole = msgspec.structs.replace(figures, behind=behind, connections=connections, messages=counts)
        return _answer(whole)


def _add_readiness(router: APIRouter, serve: Serve) -> None:
    async def ready() -> Response:
        components = await serve.components()
        store = next(component for component in components if component.name == "store")
        if store.status != "ok":
            problem = refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "not-ready",
                f"the store cannot be read: {store.detail}",
                store.remedy or "",
                headers={"Retry-After": "1"},
            )
            return respond(Refusal(msgspec.structs.replace(problem.problem, components=components), problem.headers))
        well = all(component.status == "ok" for component in components)
        return _answer(Ready("ready" if well else "degraded", components))

    _add(
        router,
        ("/ready", "/readyz"),
        ready,
        "Whether profiles can be read",
        describe(Ready, "They can.", HTTPStatus.SERVICE_UNAVAILABLE),
    )


def _add_process(router: APIRouter, parts: ApiParts) -> None:
    async def health() -> Response:
        return _answer(Health())

    async def release() -> Response:
        return _answer(Release(version("obverse"), platform.python_version()))

    async def metrics() -> Response:
        return Response(exposition(parts.registry), media_type=CONTENT_TYPE)

    async def robots() -> Response:
        return Response(_ROBOTS, media_type="text/plain")

    _add(router, ("/health", "/livez", "/healthz"), health, "Whether this process lives", describe(Health, "It does."))
    _add(router, ("/version",), release, "What runs", describe(Release, "The release."))
    text = {200: {"description": "OpenMetrics.", "content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}}
    _add(router, ("/metrics",), metrics, "Metrics", {"response_class": Response, "responses": text})
    router.add_api_route("/robots.txt", robots, include_in_schema=False, response_class=Response)


def _add(
    router: APIRouter,
    paths: tuple[str, ...],
    handler: Callable[[], Awaitable[Response]],
    summary: str,
    described: Mapping[str, Any],
) -> None:
    """Add a route under its name and its aliases; the document tells of the first."""
    for path in paths:
        router.add_api_route(
            path,
            handler,
            tags=["operations"],
            summary=summary,
            operation_id=handler.__name__,
            include_in_schema=path == paths[0],
            **described,
        )


def _answer(view: msgspec.Struct) -> Response:
    return Response(json_values.encode(view), media_type="application/json")
