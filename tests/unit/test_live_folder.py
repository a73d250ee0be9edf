"""The folder of `obverse up` is applied when a file changes; a flaw changes nothing, and nothing is removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from definition_steps import BUYERS, CHECKS, ORDERS, PLAN, SPENT, names_in, put
from obverse.adapters.memory.definition_store import MemoryDefinitionStore
from obverse.adapters.runtime.simulated import SimulatedRuntime, simulate
from obverse.apps.live_folder import LOOK, LiveFolder
from obverse.core.definitions import BadDefinition
from obverse.core.documents.written import Document, Key
from obverse.flows.apply_definitions import ApplyDefinitions
from obverse.ports.definition_store import Author, LostRace
from obverse.ports.outcomes import Unreachable


class FaultyStore(MemoryDefinitionStore):
    """Fails to write as often as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = []

    async def write(self, expected: int, puts: Sequence[Document], removals: Collection[Key], *, author: Author) -> int:
        """See `DefinitionStore.write`."""
        if self.faults:
            raise self.faults.pop()
        return await super().write(expected, puts, removals, author=author)


def live(folder: Path, *steps: Callable[[], Any], store: FaultyStore | None = None) -> list[list[str]]:
    """Take each step, and return what is in force after it."""
    known = store or FaultyStore()

    async def run(runtime: SimulatedRuntime) -> list[list[str]]:
        live = LiveFolder(folder, "shop", ApplyDefinitions(known, CHECKS, runtime), runtime)
        await live.open()
        seen = [await names_in(known)]
        work = runtime.spawn("watch", live.watch())
        for step in steps:
            step()
            await runtime.sleep(3 * LOOK)
            seen.append(await names_in(known))
        await work.stop()
        return seen

    seen: list[list[str]] = simulate(0, run)[0]
    return seen


def nothing() -> None:
    """Change no file."""


def test_a_change_is_applied_and_what_is_gone_stays(tmp_path: Path) -> None:
    put(tmp_path, orders=ORDERS)
    assert live(
        tmp_path,
        nothing,
        lambda: put(tmp_path, deep__er__spent=SPENT),
        (tmp_path / "orders.yml").unlink,
        lambda: put(tmp_path, deep__er__spent=SPENT.replace("spent", "total")),
    ) == [
        ["trait orders"],
        ["trait orders"],
        ["trait orders", "trait spent"],
        ["trait orders", "trait spent"],
        ["trait orders", "trait spent", "trait total"],
    ]


def test_what_no_file_has_any_more_is_told_once_with_how_to_remove_it(tmp_path: Path) -> None:
    put(tmp_path, orders=ORDERS, spent=SPENT)
    with capture_logs() as logs:
        live(
            tmp_path,
            (tmp_path / "spent.yml").unlink,
            nothing,
            lambda: put(tmp_path, more=SPENT.replace("spent", "more")),
        )
    told = [one for one in logs if "kept" in one]
    assert [(one["kept"], one["remedy"]) for one in told] == [
        (["trait spent"], "remove them with `obverse apply --prune`")
    ]


def test_a_flaw_is_told_once_with_its_place(tmp_path: Path) -> None:
    put(tmp_path, orders=ORDERS)
    with capture_logs() as logs:
        live(tmp_path, lambda: put(tmp_path, bad="a: ["), nothing)
    (told,) = (one for one in logs if one["log_level"] == "error")
    assert told["reason"].startswith(f"{tmp_path}/bad.yml:2:1: OB002 ")


@pytest.mark.parametrize(
    "bad",
    [
        "version: [",
        "a: 2024-02-30",
        "",
        SPENT.replace("sum", "smu"),
        ORDERS,
        BUYERS.replace("orders", "nope"),
        "{" * 500,
    ],
)
def test_a_file_with_a_flaw_changes_nothing_and_watching_goes_on(tmp_path: Path, bad: str) -> None:
    put(tmp_path, orders=ORDERS)
    assert live(
        tmp_path,
        lambda: put(tmp_path, bad=bad, spent=SPENT),
        (tmp_path / "bad.yml").unlink,
        lambda: put(tmp_path, bad=bad),
    ) == [["trait orders"], ["trait orders"], *[["trait orders", "trait spent"]] * 2]


def test_a_folder_that_appears_is_applied(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    assert live(folder, nothing, lambda: put(folder, orders=ORDERS)) == [[], [], ["trait orders"]]


def test_a_folder_that_cannot_be_used_at_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDefinition, match=r"bad\.yml:2:1: OB002 "):
        live(put(tmp_path, orders=ORDERS, bad="version: ["))


@pytest.mark.parametrize("fault", [LostRace("somebody else"), Unreachable("away")])
def test_what_cannot_be_applied_now_is_applied_later(tmp_path: Path, fault: Exception) -> None:
    store = FaultyStore()

    def change() -> None:
        store.faults = [fault]
        put(tmp_path, spent=SPENT)

    put(tmp_path, orders=ORDERS)
    assert live(tmp_path, change, store=store) == [["trait orders"], ["trait orders", "trait spent"]]


TEMPLATE = (
    "{version: obverse/v1, kind: template, metadata: {name: w}, spec: {subject: S, from: a@b.c, mjml_file: w.mjml}}"
)
MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section></mj-body></mjml>"


def test_a_template_changes_when_its_mjml_does(tmp_path: Path) -> None:
    store = FaultyStore()
    (tmp_path / "w.mjml").write_text(MJML % "old")
    live(put(tmp_path, w=TEMPLATE), lambda: (tmp_path / "w.mjml").write_text(MJML % "a new one"), store=store)

    async def stored(_: SimulatedRuntime) -> Any:
        return (await store.read()).entries[0].document.tree["spec"]

    spec = simulate(0, stored)[0]
    assert (spec["mjml"], "mjml_file" in spec) == (MJML % "a new one", False)


def test_while_it_runs_an_incompatible_edit_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, plan=PLAN)
    store = FaultyStore()
    narrower = PLAN.replace("[order_id]", "[order_id, total]")
    steps = (
        lambda: put(tmp_path, plan=narrower),
        lambda: put(tmp_path, plan=PLAN, next=narrower.replace("1.0", "2.0")),
    )
    assert live(tmp_path, *steps, store=store) == [
        *[["tracking plan shop 1.0"]] * 2,
        ["tracking plan shop 1.0", "tracking plan shop 2.0"],
    ]
