"""Loads: rows go in once and in order, whatever the collector answers and whenever it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from load_steps import HastyRuntime, Kept, ToldDoor, mapped, write
from obverse.adapters.row_files import open_rows
from obverse.core.loads import Refusal, Row, Translator
from obverse.flows.load import BYTES_AT_ONCE, ROWS_AT_ONCE, Denied, Load, Standing, Unfit
from obverse.ports.outcomes import AccessRefused, Unreachable

COUNT = 3 * ROWS_AT_ONCE + 7


class Rejected:
    """Refused rows, in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, str]] = []

    def add(self, row: Row, refusal: Refusal) -> None:
        self.rows.append((row.line, refusal.column, refusal.reason))

    def settle(self) -> int:
        return len(self.rows)


class Loading:
    """A load of one file, which may be begun again from what was kept."""

    def __init__(self, path: Path, **wishes: Any) -> None:
        self.path = path
        self.mapping = mapped(path, **wishes)
        self.kept, self.rejected, self.runtime = Kept(), Rejected(), HastyRuntime()

    async def run(
        self, door: Any, *, stopped: Callable[[], bool] = lambda: False, rows: Iterator[Row] | None = None
    ) -> Standing:
        del self.rejected.rows[self.kept.standing.rejects_bytes :]
        load = Load(door, self.rejected, runtime=self.runtime, keep=self.kept, column_of=lambda path: path[2:])
        translate = Translator(self.mapping, file="d")
        every = open_rows(self.path).rows() if rows is None else rows
        return await load.run(every, translate, self.kept.standing, stopped)


@pytest.fixture
def loading(tmp_path: Path) -> Loading:
    rows = "".join(f"{number},{'many' if number % 100 == 50 else number}\n" for number in range(COUNT))
    return Loading(write(tmp_path, "a.csv", "user_id,n\n" + rows), types={"n": "integer"})


GOOD = [str(number) for number in range(COUNT) if number % 100 != 50]
BAD = [(number + 2, "n", "'many' is no integer") for number in range(COUNT) if number % 100 == 50]


async def test_each_row_goes_in_once_and_those_that_are_refused_are_told_in_order(loading: Loading) -> None:
    door = ToldDoor()
    standing = await loading.run(door)
    assert (standing.taken, standing.refused, standing.line, standing.done) == (len(GOOD), len(BAD), COUNT + 1, True)
    assert door.users == GOOD
    assert loading.rejected.rows == BAD
    assert loading.kept.standing == standing
    assert standing.rejects_bytes == len(BAD)


async def test_what_the_collector_refuses_is_told_with_its_column(loading: Loading) -> None:
    door = ToldDoor(lambda _: [Denied(0, "$.userId", "nobody"), Denied(3, "$", "odd")])
    standing = await loading.run(door)
    assert (standing.taken, standing.refused) == (len(GOOD) - 2, len(BAD) + 2)
    assert loading.rejected.rows == [(2, "userId", "nobody"), (5, "", "odd"), *BAD]


async def test_one_row_that_spoils_its_request_is_found(loading: Loading) -> None:
    class Picky(ToldDoor):
        async def post(self, body: bytes) -> Sequence[Denied]:
            if b'"userId":"123"' in body:
                raise Unfit("400 invalid_json")
            return await super().post(body)

    door = Picky()
    standing = await loading.run(door)
    assert standing.taken == len(GOOD) - 1
    assert (125, "", "400 invalid_json") in loading.rejected.rows
    assert sorted(door.users) == sorted(set(GOOD) - {"123"})
    lines = [line for line, _, _ in loading.rejected.rows]
    assert lines == sorted(lines)


async def test_it_comes_again_when_it_is_asked_to(loading: Loading) -> None:
    door = ToldDoor(Unreachable("429", after=3.0), Unreachable("503", after=0.0), Unreachable("reset"))
    standing = await loading.run(door)
    assert standing.taken == len(GOOD)
    assert sorted(door.users) == sorted(GOOD)
    assert max(loading.runtime.slept) >= 3.0
    assert len(loading.runtime.slept) == 3


async def test_a_collector_that_stays_away_ends_it_and_what_is_settled_is_noted(loading: Loading) -> None:
    class Away(ToldDoor):
        async def post(self, body: bytes) -> Sequence[Denied]:
            if self.requests == 2:
                raise Unreachable("gone", after=400.0)
            return await super().post(body)

    door = Away()
    with pytest.raises(Unreachable, match="gone"):
        await loading.run(door)
    assert 0 < loading.kept.standing.taken < len(GOOD)
    assert not loading.kept.standing.done
    await loading.run(again := ToldDoor())
    assert sorted({*door.users, *again.users}, key=int) == GOOD
    assert loading.rejected.rows == BAD


async def test_a_key_that_opens_nothing_ends_it_at_once(loading: Loading) -> None:
    with pytest.raises(AccessRefused):
        await loading.run(ToldDoor(AccessRefused("401")))
    assert loading.runtime.slept == []


@pytest.mark.parametrize("after", range(4))
async def test_killed_anywhere_it_goes_on_and_sends_again_only_what_was_on_its_way(
    loading: Loading, after: int
) -> None:
    class Stuck(ToldDoor):
        async def post(self, body: bytes) -> Sequence[Denied]:
            if self.requests >= after:
                await asyncio.Event().wait()
            return await super().post(body)

    door = Stuck()
    run = asyncio.ensure_future(loading.run(door))
    for _ in range(200):
        await asyncio.sleep(0)
    noted = loading.kept.standing  # what a kill leaves behind
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    loading.kept.standing = noted
    again = ToldDoor()
    standing = await loading.run(again)
    assert (standing.taken, standing.refused, standing.done) == (len(GOOD), len(BAD), True)
    assert loading.rejected.rows == BAD
    by_id = {event["messageId"]: event["userId"] for event in (*door.events, *again.events)}
    assert sorted(by_id.values(), key=int) == GOOD


async def test_stopped_it_settles_what_is_on_its_way(loading: Loading) -> None:
    door = ToldDoor()
    standing = await loading.run(door, stopped=lambda: door.requests >= 1)
    assert not standing.done
    assert 0 < standing.taken == len(door.users) < len(GOOD)
    await loading.run(again := ToldDoor())
    assert [*door.users, *again.users] == GOOD


async def test_a_file_that_breaks_off_gives_what_it_has(loading: Loading) -> None:
    def broken() -> Iterator[Row]:
        for row in open_rows(loading.path).rows():
            if row.line > 600:
                raise OSError("the disk is gone")
            yield row

    door = ToldDoor()
    with pytest.raises(OSError, match="the disk is gone"):
        await loading.run(door, rows=broken())
    assert loading.kept.standing.line == 600
    assert loading.rejected.rows == [one for one in BAD if one[0] <= 600]
    await loading.run(again := ToldDoor())
    assert [*door.users, *again.users] == GOOD


async def test_requests_stay_within_what_a_collector_takes(tmp_path: Path) -> None:
    class Measuring(ToldDoor):
        most = 0

        async def post(self, body: bytes) -> Sequence[Denied]:
            self.most = max(self.most, len(body))
            return await super().post(body)

    path = write(tmp_path, "a.csv", "user_id,text\n" + "".join(f"{n},{'x' * 30_000}\n" for n in range(60)))
    await Loading(path).run(door := Measuring())
    assert len(door.users) == 60
    assert door.most <= BYTES_AT_ONCE + 100


async def test_no_rows_are_loaded_at_once(tmp_path: Path) -> None:
    loading = Loading(write(tmp_path, "a.csv", "user_id,n\n"))
    standing = await loading.run(door := ToldDoor())
    assert (standing.taken, standing.done, door.requests) == (0, True, 0)
