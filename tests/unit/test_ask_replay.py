"""What people ask of replays: what contradicts itself is told, with what to write; and how a plan reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from obverse.adapters.memory.replays import MemoryReplays
from obverse.adapters.runtime.system import open_runtime
from obverse.apps.cli import app
from obverse.apps.cli.replay_range import Asked, replay_range
from obverse.apps.cli.replay_text import in_words, line
from obverse.contracts.replays import REPORT
from obverse.core import spans, times
from obverse.core.replays import (
    ActivateReport,
    CampaignReport,
    ConnectionReport,
    DeliverReport,
    Report,
    Span,
    UnifyReport,
    Wanted,
)
from obverse.flows.ask_replay import AskReplay, BadReplay, NoSuchReplay, ReplayRequest, view, wanted_of
from obverse.settings import Settings

NOW = times.parse("2026-03-01T12:00:00Z") or 0


def asked(**fields: Any) -> Wanted:
    return wanted_of(msgspec.convert(fields, ReplayRequest), NOW)


def test_what_is_meant() -> None:
    assert asked(to="all") == Wanted(flows=("unify", "activate", "deliver"))
    assert asked(to="activate", connection="crm") == Wanted(flows=("activate",), connection="crm")
    assert asked(to="all", campaign="hello", since="7 days", until="2026-03-01") == Wanted(
        flows=("unify", "activate", "deliver"), campaign="hello", since=NOW - 7 * spans.DAY, until=NOW - 12 * spans.HOUR
    )
    assert asked(to="unify", **{"partition": 3, "from": 5, "before": 9}) == Wanted(
        flows=("unify",), partition=3, first=5, before=9
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"to": "everybody"}, "to is 'everybody': name one of unify, activate, deliver, all"),
        ({"to": "unify", "connection": "crm"}, "a connection is of activate, and not of unify: leave it out"),
        ({"to": "activate", "campaign": "hello"}, "a campaign is of deliver, and not of activate: leave it out"),
        ({"to": "all", "since": "soon"}, "since is 'soon', which is no time: give a time such as 2026-03-01T12:00:00Z"),
        ({"to": "all", "until": "7 moons"}, "until is '7 moons', which is no time"),
        ({"to": "all", "since": "2026-03-02"}, "since is 2026-03-02T00:00:00Z, which is to come"),
        ({"to": "all", "since": "1 day", "until": "2 days"}, "is after until 2026-02-27T12:00:00Z: change them round"),
        ({"to": "unify", "from": 3}, "from and before are offsets in one partition: name it with partition"),
        ({"to": "unify", "partition": 0, "since": "1 day"}, "since and until are times, partition, from and before"),
        ({"to": "all", "partition": 0}, "offsets are of one stream, of the events for unify and of the changes"),
    ],
)
def test_what_contradicts_itself_is_told(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadReplay, match=re.escape(said)):
        asked(**fields)


async def test_only_what_is_planned_runs_and_what_has_ended_is_not_cancelled() -> None:
    asking = AskReplay(MemoryReplays(), open_runtime())
    id_ = await asking.ask(ReplayRequest(to="all"), by="ada")
    with pytest.raises(BadReplay, match="it is planning; only one that is planned can"):
        await asking.confirm(id_, by="ada")
    await asking.cancel(id_)
    with pytest.raises(BadReplay, match="replay 1 cannot be cancelled: it is cancelled"):
        await asking.cancel(id_)
    for ask in (asking.find(9), asking.confirm(9, by="ada"), asking.cancel(9)):
        with pytest.raises(NoSuchReplay, match="there is no replay 9"):
            await ask
    (told,) = await asking.page(limit=5)
    assert (view(told).state, view(told).to) == ("cancelled", ("unify", "activate", "deliver"))
    assert " to unify, activate, deliver  the whole log  " in line(told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to do: --to unify, activate, deliver or all; --rejected"),
        (["--to", "all", "--rejected"], "--to and --rejected do not go together: name one of"),
        (["--list", "--yes"], "--yes is an option of --to, and not of --list: leave it out"),
        (["--to", "all", "--code", "x"], "--code is an option of --rejected, and not of --to: leave it out"),
        (["--rejected", "--since", "1 day"], "--since is an option of --to, and not of --rejected"),
    ],
)
def test_options_that_do_not_go_together_are_told(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["replay", *arguments])
    assert (result.exit_code, said in result.stderr) == (1, True), result.stderr


async def test_what_contradicts_itself_is_told_without_a_database(tmp_path: Path) -> None:
    wrong = Asked(ReplayRequest(to="everybody"), approved=True, as_json=False)
    with pytest.raises(BadReplay, match="name one of unify, activate, deliver, all"):
        await replay_range(Settings(data=tmp_path), wrong)


PLANNED = """\
unify: 30,000 people
  20,000 of them were looked at, taken at random; what follows is of these
  2 would be mended (traits: orders 2) (attributes: city 1)
    and enter then (audiences: big 2)
    and leave then (audiences: small 1)
    1 of these only in what nobody reads as a value
    what is mended goes on to connections and campaigns, as any change does
  1 left as they are, since not all of their events are kept: id:00000000-0000-0000-0000-000000000000
activate: 3 changes, from 1 to before 4
  hubspot: 1 created, 2 updated (city 2), 3 as they are, 4 without an address
deliver: no changes
  welcome: 1 message would be sent; there already: 4 sent; 2 entries true no more
"""


def test_a_plan_in_words() -> None:
    plan = Report(
        unify=UnifyReport(
            spans={},
            people=30_000,
            looked_at=20_000,
            changed=2,
            traits={"orders": 2},
            attributes={"city": 1},
            entered={"big": 2},
            left={"small": 1},
            others=1,
            refused=1,
            refused_some=["id:00000000-0000-0000-0000-000000000000"],
        ),
        activate=ActivateReport(
            span=Span(1, 4),
            connections={
                "hubspot": ConnectionReport(create=1, update=2, fields={"city": 2}, unchanged=3, without_address=4)
            },
        ),
        deliver=DeliverReport(
            span=Span(4, 4), campaigns={"welcome": CampaignReport(send=1, already={"sent": 4}, over=2)}
        ),
    )
    assert in_words(plan, done=False) == PLANNED
    assert "hubspot: 1 person compared again" in in_words(
        Report(activate=ActivateReport(span=Span(0, 1), connections={"hubspot": ConnectionReport(woken=1)})), done=True
    )
    assert in_words(Report(), done=True) == ""
    assert plan.to_do == 10_002 + 3 + 1
    assert REPORT.to_do == 2 + 1 + 3 + 1
