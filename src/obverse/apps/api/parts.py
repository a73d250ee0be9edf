"""What the API is built of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from obverse.apps.loads.kept import KeptLoads
from obverse.core.definitions import Definitions
from obverse.flows.apply_definitions import Plan
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
from obverse.ports.definition_store import DefinitionStore
from obverse.ports.runtime import Runtime

RouteFactory = Callable[["ApiParts"], APIRouter]
"""What an entry point of the group `obverse.route` names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """What routes work with."""

    serve: Serve
    syncs: Syncs
    messages: Messages
    ask_identity: AskIdentity
    ask_replay: AskReplay
    browse: Browse
    preview: Preview
    explain: Explain
    measure: Measure
    history: History
    review: Review
    decide: Decide
    live: Live
    sign_in: SignIn
    runtime: Runtime
    registry: CollectorRegistry
    routes: Sequence[RouteFactory]
    definition_store: DefinitionStore
    edit_definitions: EditDefinitions
    workspace: str = "main"
    """Whose profiles are read."""
    definitions: Callable[[], Definitions] = Definitions
    """The definitions as they are now."""
    definitions_folder: Path | None = None
    """Where files are written that somebody applies; None if nobody does: then the store is written."""
    compare_folder: Callable[[], Awaitable[Plan]] | None = None
    """Compares that folder with what is in force; raises `ValueError` if it is not there."""
    loads: KeptLoads | None = None
    """Files that are brought in; None if none can be uploaded."""
    inbox_url: str | None = None
    """Where the local inbox is asked; None if mail goes elsewhere."""
    space_requests_per_second: int | None = None
    """How often Segment's clients may ask; None: as often as they like."""
    api_key: str | None = field(default=None, repr=False)
    """Bearer token for programs; None lets everybody in. An installation always has one."""
