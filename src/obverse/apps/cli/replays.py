"""The command `obverse replay`: its options, and which of them go together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obverse.apps.cli.options import Data, Json
from obverse.apps.cli.running import run, set_options
from obverse.apps.cli.telling import fail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Text = str | None
Number = int | None
_OF_REJECTED = ("--source", "--code", "--id", "--body")
_OF_RANGE = ("--connection", "--campaign", "--since", "--until", "--partition", "--from", "--before", "--yes")


def replay(
    *,
    to: Annotated[Text, typer.Option(help="Who gets a part of the log: unify, activate, deliver or all.")] = None,
    connection: Annotated[Text, typer.Option(help="Of activate, this connection alone.")] = None,
    campaign: Annotated[Text, typer.Option(help="Of deliver, this campaign alone.")] = None,
    since: Annotated[Text, typer.Option(help="What was appended from then on: a time, or `7 days` ago.")] = None,
    until: Annotated[Text, typer.Option(help="What was appended before then.")] = None,
    partition: Annotated[Number, typer.Option(min=0, help="This partition alone.")] = None,
    from_: Annotated[Number, typer.Option("--from", min=0, help="From this offset of it on.")] = None,
    before: Annotated[Number, typer.Option(min=0, help="What comes before this offset.")] = None,
    yes: Annotated[bool, typer.Option("--auto-approve", "--yes", "-y", help="Do not ask.")] = False,
    run_id: Annotated[Number, typer.Option("--run", help="Run this replay, which is planned.")] = None,
    cancel_id: Annotated[Number, typer.Option("--cancel", help="Have this replay go no further.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Tell of the latest replays.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Send open rejected events, after a fix.")] = False,
    source: Annotated[Text, typer.Option(help="Of rejected events, those of this source.")] = None,
    code: Annotated[Text, typer.Option(help="Of rejected events, those with this code.")] = None,
    id_: Annotated[list[str] | None, typer.Option("--id", help="Only this rejected event; may come again.")] = None,
    body: Annotated[Path | None, typer.Option(help="File with what is sent in the place of the one named.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """
    Send a part of the log again, after showing what that would do. Nothing is sent twice.

    Ends with 0 if it was done or there is nothing to do, with 2 if a plan was shown that nobody has confirmed.
    """
    modes = {"--to": to is not None, "--run": run_id is not None, "--cancel": cancel_id is not None,
             "--list": list_, "--rejected": rejected}  # fmt: skip
    given = {"--connection": connection, "--campaign": campaign, "--since": since, "--until": until,
             "--partition": partition, "--from": from_, "--before": before, "--yes": yes or None,
             "--source": source, "--code": code, "--id": id_ or None, "--body": body}  # fmt: skip
    _check(modes, given)
    set_options(data, None)
    if rejected:
        from obverse.apps.cli.replay import Wanted, replay_rejected

        wanted = Wanted(source=source, code=code, ids=id_ or (), body=body)
        _run(lambda settings: replay_rejected(settings, wanted, as_json=as_json))
    from obverse.apps.cli import replay_range

    if list_:
        _run(lambda settings: replay_range.list_all(settings, as_json=as_json))
    if cancel_id is not None:
        _run(lambda settings: replay_range.cancel(settings, cancel_id, as_json=as_json))
    if run_id is not None:
        _run(lambda settings: replay_range.run_planned(settings, run_id, as_json=as_json))
    from obverse.flows.ask_replay import ReplayRequest

    request = ReplayRequest(
        to=to or "",
        connection=connection,
        campaign=campaign,
        since=since,
        until=until,
        partition=partition,
        from_=from_,
        before=before,
    )
    asked = replay_range.Asked(request, yes, as_json)
    _run(lambda settings: replay_range.replay_range(settings, asked))


def _run(main_of: Callable[[Any], Any]) -> None:
    """Run it where an installation runs: who sends again is the worker, or the collector."""

    def held(settings: Any) -> Any:
        from obverse.apps.cli.installation import hold_running

        hold_running(settings)
        return main_of(settings)

    run(held)


def _check(modes: Mapping[str, bool], given: Mapping[str, object]) -> None:
    """End with what to write, if options do not go together."""
    chosen = [name for name, is_given in modes.items() if is_given]
    if len(chosen) != 1:
        said = f"{' and '.join(chosen)} do not go together: name one of" if chosen else "say what to do:"
        fail(f"{said} --to unify, activate, deliver or all; --rejected; --run or --cancel a number; --list")
    allowed = {"--to": _OF_RANGE, "--rejected": _OF_REJECTED}.get(chosen[0], ())
    for name, value in given.items():
        if value is not None and name not in allowed:
            of = "--rejected" if name in _OF_REJECTED else "--to"
            fail(f"{name} is an option of {of}, and not of {chosen[0]}: leave it out")
