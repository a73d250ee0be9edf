"""The command `obverse`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from obverse.apps.cli import benches
from obverse.apps.cli.loading import load
from obverse.apps.cli.options import Data, Engine, Json, Log, Partitions, set_engine, set_log
from obverse.apps.cli.replays import replay
from obverse.apps.cli.running import read as _settings
from obverse.apps.cli.running import run as _run
from obverse.apps.cli.running import set_options as _set
from obverse.apps.cli.telling import fail, told

_UNREADABLE = 2
"""What typer ends with if a command line cannot be read."""


class _Commands(TyperGroup):
    """
    Ends with 1 if the command line cannot be read, as with everything else that is wrong.

    2 is what `plan` and others end with if all went well and there is something to do: to a script, a slip of the pen
    would look like that.
    """

    def make_context(self, *args: Any, **more: Any) -> Any:
        try:
            return super().make_context(*args, **more)
        except Exception as error:  # noqa: BLE001 - typer keeps the class of these errors to itself
            raise _ending_with_1(error) from error.__cause__

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:  # noqa: BLE001 - typer keeps the class of these errors to itself
            raise _ending_with_1(error) from error.__cause__


def _ending_with_1(error: Exception) -> Exception:
    """The same error, if it is of the command line with another exit code. A command's own end is `typer.Exit`."""
    if not isinstance(error, typer.Exit) and getattr(error, "exit_code", 1) == _UNREADABLE:
        error.exit_code = 1  # type: ignore[attr-defined]  # typer's errors have one, and a name that is its own
    return error


app = typer.Typer(
    name="obverse",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
source = typer.Typer(help="Sources: who sends events.", no_args_is_help=True)
app.add_typer(source, name="source")
migrate = typer.Typer(help="Bring the schema up to this release, or the log to another place.")
app.add_typer(migrate, name="migrate")
app.add_typer(benches.bench, name="bench")
app.command()(load)
app.command()(replay)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer's own signature
    if asked:
        from importlib.metadata import version

        print(f"obverse {version('obverse')}")
        raise typer.Exit


@app.callback()
def begin(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Obverse keeps one trustworthy profile per person, and acts on it."""


@app.command()
def up(data: Data = None, partitions: Partitions = None) -> None:
    """Run everything on this machine: PostgreSQL, collector, worker, api and sandbox."""
    _set(data, partitions)
    _import_for_roles()
    from obverse.apps.cli.installation import up as run_up

    _run(run_up)


@app.command()
def demo(
    *,
    data: Annotated[Path, typer.Option(help="Folder of the demo's own; emptied first.")] = Path("demo-data"),
    partitions: Partitions = None,
    log: Log = None,
    engine: Engine = None,
    leave: Annotated[bool, typer.Option("--exit", help="Stop after the summary.")] = False,
    as_json: Json = False,
) -> None:
    """Run everything, and play six weeks of a real shop's orders through it."""
    _set(data, partitions)
    set_log(log)
    set_engine(engine)
    _import_for_roles()
    from obverse.apps.cli.demo import demo as run_demo

    _run(lambda settings: run_demo(settings, leave=leave, as_json=as_json))


@app.command()
def run(
    role: Annotated[str, typer.Argument(help="collector, worker, api, sandbox, engine-flink or engine-spark.")],
    data: Data = None,
    partitions: Partitions = None,
    flows: Annotated[
        str | None,
        typer.Option(
            help="Of a worker, what it does: some of identity, keep, keep_rejected, activate, deliver, sql_traits, "
            "archive, replaying, retain, separated by commas; everything, if not given."
        ),
    ] = None,
) -> None:
    """Run one role of an installation."""
    _set(data, partitions)
    from obverse.apps.roles import FLOWS, HOSTS, ROLES, run_role

    if role not in (*ROLES, *HOSTS):
        fail(f"there is no role {role!r}; use one of {', '.join((*ROLES, *HOSTS))}")
    if flows is not None:
        named = [one.strip() for one in flows.split(",")]
        if role != "worker" or not set(named) <= set(FLOWS):
            fail(f"--flows is of a worker alone, and takes some of {', '.join(FLOWS)}; it was {flows!r}")
        os.environ["OBVERSE_WORKER__FLOWS"] = json.dumps(named)
    _run(lambda settings: run_role(role, settings))


@migrate.callback(invoke_without_command=True)
def migrate_schema(
    context: typer.Context,
    data: Data = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print what would be run, and run nothing.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Bring the database's schema up to this release; with `log`, bring the log to another place."""
    if context.invoked_subcommand is not None:
        return
    _set(data, None)
    from obverse.apps.cli.installation import migrate as run_migrate

    _run(lambda settings: run_migrate(settings, sql=sql))


@migrate.command("log")
def migrate_log(
    *,
    to: Annotated[str, typer.Option(help="The adapter of the log to move to, such as postgres, kafka or kinesis.")],
    give_up: Annotated[bool, typer.Option("--give-up", help="Forget a move to there that was begun.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """
    Move the log to another adapter's, while events go on arriving.

    Every record keeps its offset. Until all are copied nothing changes; then everything uses the other log.
    """
    _set(data, None)
    from obverse.apps.cli.move_log import give_up as run_give_up
    from obverse.apps.cli.move_log import move_log

    _run(lambda settings: run_give_up(settings, to) if give_up else move_log(settings, to, as_json=as_json))


Paths = Annotated[
    list[Path] | None,
    typer.Argument(help="Files or folders of definitions; the whole folder of the project, if none is named."),
]
Yes = Annotated[bool, typer.Option("--auto-approve", "--yes", "-y", help="Do not ask.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Remove what this project has stored and no file of it names any more.")
]


@app.command()
def validate(
    paths: Paths = None,
    schema: Annotated[
        Path | None, typer.Option(help="Write the JSON Schema of every kind into this folder, for editors.")
    ] = None,
    data: Data = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Check definitions, and tell every flaw with its place. Needs no installation.

    Ends with 0 if there is none, with 1 if there are.
    """
    _set(data, None)
    from obverse.apps.cli.definitions import validate as run_validate
    from obverse.apps.cli.definitions import write_schemas

    if schema is not None:
        told(lambda: write_schemas(schema))
        return
    raise typer.Exit(told(lambda: run_validate(_settings(), paths or [], as_json=as_json)))


@app.command()
def plan(
    *,
    paths: Paths = None,
    prune: Prune = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """
    Show what `obverse apply` would change, and change nothing.

    Ends with 0 if there is nothing to do, with 2 if there is, with 1 if something is wrong.
    """
    _set(data, None)
    from obverse.apps.cli.definitions import plan as run_plan

    _run(lambda settings: run_plan(settings, paths or [], prune=prune, as_json=as_json))


@app.command()
def apply(
    *,
    paths: Paths = None,
    yes: Yes = False,
    prune: Prune = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Bring definitions into force, after showing what changes. Removes nothing but with --prune."""
    _set(data, None)
    from obverse.apps.cli.definitions import Asked
    from obverse.apps.cli.definitions import apply as run_apply

    asked = Asked(paths=paths or [], prune=prune, approved=yes, as_json=as_json)
    _run(lambda settings: run_apply(settings, asked))


@app.command()
def pull(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder to write to; that of the project, if none is named.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="What other projects have applied, too.")] = False,  # noqa: FBT002 - a flag
    data: Data = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """Write the definitions in force into files. Files that say the same stay as they are; none is removed."""
    _set(data, None)
    from obverse.apps.cli.pull import pull as run_pull

    _run(lambda settings: run_pull(settings, folder, every=every, as_json=as_json))


@app.command("sign-in")
def sign_in(data: Data = None) -> None:
    """Print a link to the console that signs in once."""
    _set(data, None)
    from obverse.apps.cli.installation import sign_in as run_sign_in

    _run(run_sign_in)


@app.command("dry-run")
def dry_run(
    definitions: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder with the identity rules to try; those in force, if none is named. Of it only these are used.",
        ),
    ] = None,
    data: Data = None,
    as_json: Json = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Show who would merge and who would split if identity were decided anew, and change nothing.

    Ends with 0 if everybody would be who they are, with 2 if not, with 1 if something is wrong.
    """
    _set(data, None)
    from obverse.apps.cli.dry_run import run as run_dry

    _run(lambda settings: run_dry(settings, definitions, as_json=as_json))


@app.command()
def match(data: Data = None, as_json: Json = False) -> None:  # noqa: FBT002 - a flag
    """Find profiles that may be one person, and propose them to people."""
    _set(data, None)
    from obverse.apps.cli.match import match as run_match

    _run(lambda settings: run_match(settings, as_json=as_json))


@app.command()
def typegen(
    plan: Annotated[str, typer.Argument(help="Name of a tracking plan.")],
    language: Annotated[str, typer.Option(help="python or typescript.")],
    version: Annotated[str, typer.Option(help="Version of the plan; the latest, if none is named.")] = "",
    out: Annotated[Path | None, typer.Option(help="File to write; to stdout, if none is named.")] = None,
    data: Data = None,
) -> None:
    """Write a typed client from a tracking plan."""
    _set(data, None)
    from obverse.apps.cli.typegen import typegen as run_typegen

    told(lambda: run_typegen(_settings(), plan, version=version, language=language, out=out))


@source.command("add")
def source_add(name: str, data: Data = None) -> None:
    """Make a source, and show its write key once."""
    _set(data, None)
    from obverse.apps.sources import add_source, new_key

    key = new_key()
    path = told(lambda: add_source(_settings().definitions_folder, name, key))
    print(f"Write key of source {name} (shown once, kept as a hash in {path}):\n{key}")


@source.command("rotate")
def source_rotate(name: str, data: Data = None) -> None:
    """Make another write key for a source, and show it once; the one before stays good until it is retired."""
    _set(data, None)
    from obverse.apps.sources import new_key, rotate_key

    key = new_key()
    path = told(lambda: rotate_key(_settings().definitions_folder, name, key))
    print(f"New write key of source {name} (shown once, kept as a hash in {path}):\n{key}")
    print(f"The key before it is good until `obverse source retire {name}`.", file=sys.stderr)


@source.command("retire")
def source_retire(name: str, data: Data = None) -> None:
    """Let only a source's newest write key open it."""
    _set(data, None)
    from obverse.apps.sources import retire_keys

    path = told(lambda: retire_keys(_settings().definitions_folder, name))
    print(f"Only the newest write key of source {name} is good now ({path}).")


def main() -> None:
    """Entry point of the script `obverse`."""
    app()


def _import_for_roles() -> None:
    """Begin, beside us, the process that roles are forked from: it imports everything once."""
    from multiprocessing import forkserver, set_forkserver_preload

    set_forkserver_preload(["obverse.apps.preload"])
    forkserver.ensure_running()


if __name__ == "__main__":
    main()
