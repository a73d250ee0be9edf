"""`obverse load`: its options. What it does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from obverse.apps.cli.options import Data, Json
from obverse.apps.cli.running import run, set_options
from obverse.apps.cli.telling import told

_OF_ROWS = "What rows are"
_OF_FILE = "How the file is written"
_OF_DOOR = "Where rows go"


def load(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines (both may be packed with gzip) or Parquet.")],
    *,
    type_of_rows: Annotated[
        Literal["identify", "track", "events"] | None,
        typer.Option("--as", help="What each row becomes; `events`: it is a whole one.", rich_help_panel=_OF_ROWS),
    ] = None,
    event: Annotated[str, typer.Option(help="Name of each row's event.", rich_help_panel=_OF_ROWS)] = "",
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="NAME=COLUMN",
            help="What a column is: user_id, anonymous_id, email, event, timestamp, or a name of your own.",
            rich_help_panel=_OF_ROWS,
        ),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="COLUMN=TYPE",
            help="text, integer, decimal, decimal:1.234,56, boolean, date:DD.MM.YYYY, time:iso, time:seconds …",
            rich_help_panel=_OF_ROWS,
        ),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Leave a column out.", rich_help_panel=_OF_ROWS)
    ] = None,
    id_: Annotated[
        str, typer.Option("--id", metavar="COLUMN", help="Column that tells rows apart.", rich_help_panel=_OF_ROWS)
    ] = "",
    at: Annotated[str, typer.Option(help="When it happened, if no column says it.", rich_help_panel=_OF_ROWS)] = "",
    zone: Annotated[str, typer.Option(help="Zone of times without one.", rich_help_panel=_OF_ROWS)] = "",
    mapping: Annotated[
        Path | None, typer.Option(help="File that says all of this.", rich_help_panel=_OF_ROWS, exists=True)
    ] = None,
    save_mapping: Annotated[
        Path | None, typer.Option(help="Write what was guessed and said into a file.", rich_help_panel=_OF_ROWS)
    ] = None,
    form: Annotated[
        Literal["csv", "jsonl", "parquet"] | None,
        typer.Option("--format", help="If its name does not say it.", rich_help_panel=_OF_FILE),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as utf-8 or latin-1.", rich_help_panel=_OF_FILE)] = None,
    delimiter: Annotated[str | None, typer.Option(help="One character.", rich_help_panel=_OF_FILE)] = None,
    collector: Annotated[str | None, typer.Option(help="Its scheme, host and port.", rich_help_panel=_OF_DOOR)] = None,
    write_key: Annotated[
        str | None,
        typer.Option(help="Of a source; better said as OBVERSE_LOAD__WRITE_KEY.", rich_help_panel=_OF_DOOR),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="A source of this installation, made if there is none.", rich_help_panel=_OF_DOOR),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the record and of refused rows; that of the file, if none is named.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it, and send nothing.")] = False,
    rows: Annotated[int | None, typer.Option(min=1, help="With --dry-run: look at so many.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever was loaded before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    lifeline: Annotated[bool, typer.Option("--lifeline", help="Stop when stdin ends.", hidden=True)] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """
    Bring history in: each row of a file becomes an event, once, however often the command is run.

    Ends with 0 if every row is taken, with 2 if some are refused, with 1 if it failed; the same command goes on
    where it was stopped.
    """
    set_options(data, None)
    from obverse.adapters.row_files import Format, Told
    from obverse.apps.cli.load import Asked, pairs
    from obverse.apps.cli.load import load as run_load
    from obverse.core.loads import Wishes

    asked = told(
        lambda: Asked(
            path=file,
            told=Told(format=None if form is None else Format(form), encoding=encoding, delimiter=delimiter),
            wishes=Wishes(
                type=type_of_rows,
                event=event,
                map=pairs(map_ or (), "--map"),
                types=pairs(types or (), "--type"),
                skip=skip or (),
                message_id=id_,
                zone=zone,
                at=at,
            ),
            mapping=mapping,
            save_mapping=save_mapping,
            collector=collector,
            write_key=write_key,
            source=source,
            beside=beside,
            dry_run=dry_run,
            rows=rows,
            restart=restart,
            yes=yes or lifeline,
            lifeline=lifeline,
            as_json=as_json,
        )
    )
    run(lambda settings: run_load(settings, asked))
