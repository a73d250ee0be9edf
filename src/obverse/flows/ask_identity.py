"""Ask: that an edge be taken back, or that two be one. The engine's one writer of decisions does it."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from obverse.core.identity import edge_key
from obverse.core.unmerging import ONCE_TIED
from obverse.flows.serve import Serve
from obverse.ports.identity_requests import IdentityRequest
from obverse.ports.profile_store import ProfileStore
from obverse.ports.runtime import Runtime


class NoSuchEdge(LookupError):
    """Nothing ties two identifiers; the message says what does."""


class AskIdentity:
    """Takes requests down where they wait, and tells what became of them."""

    def __init__(self, store: ProfileStore, serve: Serve, runtime: Runtime, new_id: Callable[[], str]) -> None:
        self._store = store
        self._serve = serve
        self._runtime = runtime
        self._new_id = new_id

    async def unmerge(self, one: str, other: str, *, by: str, why: str = "") -> IdentityRequest:
        """
        Ask for the edge between two identifiers to be taken back.

        Raises:
            BadIdentifier: one of them is none.
            NoSuchEdge: nothing ties them, as far as is known now.
            Unreachable, AccessRefused: the store is away.
        """
        ends = edge_key(self._serve.parsed(one), self._serve.parsed(other))
        profile = await self._serve.current(ends[0])
        edge = None if profile is None else profile.edges.get(ends)
        if profile is None:
            profile = await self._serve.current(ends[1])
            edge = None if profile is None else profile.edges.get(ends)
        if profile is None or edge is None or (edge.refused and edge.rule not in ONCE_TIED):
            ties = [] if profile is None else [pair for pair, one_edge in profile.edges.items() if not one_edge.refused]
            near = ", ".join(sorted({end for pair in ties if ends[0] in pair for end in pair} - {ends[0]}))
            raise NoSuchEdge(
                f"nothing ties {ends[0]} and {ends[1]}" + (f"; {ends[0]} is tied to {near}" if near else "")
            )
        request = IdentityRequest(
            id=self._new_id(), kind="unmerge", one=ends[0], other=ends[1], by=by, why=why, asked_at=self._runtime.now()
        )
        await self._store.ask_identity(request)
        return request

    async def request(self, one: str) -> IdentityRequest | None:
        """
        Return a request, and what became of it; None if there is none of this id.

        Raises:
            Unreachable, AccessRefused: the store is away.
        """
        return await self._store.identity_request(one)


class AskMerges:
    """See `MergeRequests`: the requests wait in the store."""

    def __init__(self, store: ProfileStore, runtime: Runtime) -> None:
        self._store = store
        self._runtime = runtime

    async def ask_merge(self, one: str, other: str, *, by: str, why: str) -> None:
        """
        Ask for two to become one, whatever the limits say: identifiers, or ids as `id_name` writes them.

        Asking twice, for the same reason, is asking once, until it is done.

        Raises:
            Unreachable, AccessRefused: the store is away.
        """
        known, id_ = await self._last(one, other, by, why)
        if known is not None and known.outcome is None:
            return
        request = IdentityRequest(
            id=id_,  # what was done, or refused, is asked anew
            kind="merge",
            one=one,
            other=other,
            by=by,
            why=why,
            asked_at=self._runtime.now(),
        )
        await self._store.ask_identity(request)

    async def refusal(self, one: str, other: str, *, by: str, why: str) -> str | None:
        """
        Return why nothing came of what was asked in these words last; None if something did, or may yet.

        Raises:
            Unreachable, AccessRefused: the store is away.
        """
        known, _ = await self._last(one, other, by, why)
        outcome = None if known is None else known.outcome
        return None if outcome is None or outcome.done else outcome.detail

    async def _last(self, one: str, other: str, by: str, why: str) -> tuple[IdentityRequest | None, str]:
        """What was asked in these words last, and the id of the next one."""
        words = "\0".join((*edge_key(one, other), by, why))
        name, number = f"merge-{blake2b(words.encode(), digest_size=12).hexdigest()}", 1
        last: IdentityRequest | None = None
        while (known := await self._store.identity_request(f"{name}-{number}")) is not None:
            last, number = known, number + 1
        return last, f"{name}-{number}"
