"""`obverse validate`, `plan`, `apply` and `pull` as a person types them, beside an installation and without one."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from definition_steps import BUYERS, ORDERS, SPENT, put
from installation import Installation, environment, installation, start, until
from stopwatch import quickest

pytestmark = [pytest.mark.service, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation that follows its own folder."""
    async with installation(tmp_path_factory.mktemp("up") / "data") as here:
        yield here


async def told(data: Path, *command: str, project: Path | None = None) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of a command, with a project's folder of its own."""
    own = {} if project is None else {"OBVERSE_DEFINITIONS": str(project), "OBVERSE_PROJECT": "shop"}
    process = await start(data, *command, **own)
    out, errors = await process.communicate()
    assert "Traceback" not in errors.decode()
    return process.returncode, out.decode(), errors.decode()


async def defined(here: Installation) -> dict[str, Any]:
    return {one["name"]: one for one in (await here.get("/v1/definitions"))[1]["definitions"]}


async def test_a_project_is_planned_applied_changed_and_pruned(running: Installation, tmp_path: Path) -> None:
    data, project = running.data, put(tmp_path / "project", orders=ORDERS, buyers=BUYERS, spent=SPENT)
    code, out, _ = await told(data, "plan", project=project)
    assert (code, out.splitlines()[0]) == (2, f"+ audience buyers  ({project}/buyers.yml:1)")
    assert out.endswith("3 to add, 0 to change, 0 to remove.\n")
    code, _, errors = await told(data, "apply", project=project)
    assert (code, errors) == (1, "obverse: there is no terminal to ask on: look at `obverse plan`, and say --yes\n")
    code, out, _ = await told(data, "apply", "--auto-approve", "--json", project=project)
    applied = json.loads(out)
    assert (code, [one["action"] for one in applied["changes"]]) == (0, ["add"] * 3)

    async def in_force() -> bool:
        """As the roles have it, and not the store alone."""
        audiences = (await running.get("/v1/audiences"))[1]["audiences"]
        return "buyers" in [one["name"] for one in audiences]

    await until(in_force)
    person = {"writeKey": running.key, "userId": "ada", "event": "Order Completed"}
    assert (await running.post("/v1/track", person))[0] == 200

    async def entered() -> bool:
        overview = (await running.get("/v1/overview"))[1]
        return bool(overview["audiences"].get("buyers") == 1)

    await until(entered)
    assert await told(data, "plan", project=project) == (0, "Nothing to do: what is in force says the same.\n", "")

    put(project, buyers=BUYERS.replace("value: 1", "value: 2"))
    (project / "spent.yml").unlink()
    code, out, _ = await told(data, "plan", "--json", project=project)
    plan = json.loads(out)
    (change,) = plan["changes"]
    assert (code, change["fields"]) == (2, [{"path": "spec.where.value", "before": 1, "after": 2}])
    assert (change["size_before"], change["size_after"], change["stored"]["project"]) == (1, 0, "shop")
    assert plan["kept"] == [{"kind": "trait", "name": "spent", "version": None}]
    code, _, errors = await told(data, "apply", "--yes", "--prune", str(project / "orders.yml"), project=project)
    assert (code, "only the whole project can be pruned" in errors) == (1, True)
    assert (await told(data, "apply", "--yes", "--prune", project=project))[0] == 0
    now = await defined(running)
    assert {"orders", "buyers", "test"} <= now.keys()  # of them the source is the folder's of the installation
    assert "spent" not in now


async def test_flaws_are_told_and_nothing_is_changed(running: Installation, tmp_path: Path) -> None:
    project = put(tmp_path, a=ORDERS.replace("count", "cuont"), b=BUYERS.replace("gte", "=>"))
    before = await running.get("/v1/definitions")
    places = [f"{project}/a.yml:4:19: OB016 ", f"{project}/b.yml:5:15: OB016 "]
    for command in (["validate"], ["plan"], ["apply", "--yes"]):
        code, out, errors = await told(running.data, *command, project=project)
        lines = [line for line in (out + errors).splitlines() if line.startswith(str(project))]
        assert code == 1
        assert [line.startswith(place) for line, place in zip(lines, places, strict=True)] == [True, True]
        code, out, _ = await told(running.data, *command, "--json", project=project)
        assert (code, [one["line"] for one in json.loads(out)["flaws"]]) == (1, [4, 5])
    assert await running.get("/v1/definitions") == before


async def test_what_is_pulled_says_what_is_in_force(running: Installation, tmp_path: Path) -> None:
    project = put(tmp_path / "one", web=ORDERS.replace("orders", "pulled"))
    assert (await told(running.data, "apply", "--yes", project=project))[0] == 0
    empty = tmp_path / "two"
    code, out, _ = await told(running.data, "pull", "--json", project=empty)
    assert code == 0
    assert str(empty / "traits/pulled.yml") in [one["file"] for one in json.loads(out)["written"]]
    assert (await told(running.data, "plan", "--prune", project=empty))[0] == 0
    text = (empty / "traits/pulled.yml").read_text()
    (empty / "traits/pulled.yml").write_text(f"# ours\n{text}")
    assert json.loads((await told(running.data, "pull", "--json", project=empty))[1])["written"] == []
    put(empty, bad="a: [")
    code, _, errors = await told(running.data, "pull", project=empty)
    assert (code, "bad.yml:2:1: OB002" in errors) == (1, True)


async def test_a_change_of_the_live_folder_is_in_force_within_two_seconds(running: Installation) -> None:
    path, names = running.data / "definitions" / "live.yml", ["quick"]

    async def change() -> None:
        path.write_text(BUYERS.replace("buyers", names[-1]).replace("trait: orders", "attribute: age"))

        async def in_force() -> bool:
            audiences = (await running.get("/v1/audiences"))[1]["audiences"]
            return names[-1] in [one["name"] for one in audiences]

        await until(in_force)
        names.append(f"quick{len(names)}")

    assert await quickest(change, enough=2.5) < 2.5
    assert (await defined(running))[names[-2]]["changed_by"] == "obverse up"


async def asked(data: Path, project: Path, answer: str) -> tuple[int, str]:
    """`obverse apply` on a terminal, where somebody answers so."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "obverse.apps.cli", "apply", "--data", str(data)),
        env=environment(OBVERSE_DEFINITIONS=str(project), OBVERSE_PROJECT="asked"),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    out, _ = await process.communicate()
    os.close(ours)
    return process.returncode or 0, out.decode()


async def test_on_a_terminal_it_asks(running: Installation, tmp_path: Path) -> None:
    project = put(tmp_path, asked=ORDERS.replace("orders", "asked"))
    code, out = await asked(running.data, project, "n\n")
    assert (code, "Apply 1 change?" in out, "nothing was applied" in out) == (1, True, True)
    assert "asked" not in await defined(running)
    assert (await asked(running.data, project, "y\n"))[0] == 0
    assert "asked" in await defined(running)


async def test_to_validate_nothing_has_to_run(tmp_path: Path) -> None:
    data = tmp_path / "data"
    project = put(tmp_path / "project", traits__orders=ORDERS, audiences__buyers=BUYERS)
    assert await told(data, "validate", project=project) == (0, "", "2 documents, 0 flaws\n")
    # What a part refers to is looked for in the rest of the project.
    part = str(project / "audiences" / "buyers.yml")
    assert await told(data, "validate", part, project=project) == (0, "", "1 document, 0 flaws\n")
    code, out, _ = await told(data, "validate", part, project=tmp_path / "elsewhere")
    assert (code, out.startswith(f"{part}:5:27: OB021 ")) == (1, True)
    assert not data.exists()


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "pull"])
async def test_what_is_not_there_is_told(tmp_path: Path, command: str) -> None:
    code, _, errors = await told(tmp_path / "data", command, project=tmp_path / "nowhere")
    assert code == 1
    assert "nowhere" in errors or "start `obverse up`" in errors
    if command != "pull":
        code, _, errors = await told(tmp_path / "data", command, "nowhere.yml")
        assert (code, errors) == (1, "obverse: there is no nowhere.yml; name files or folders of definitions\n")


async def test_editors_get_a_schema_of_every_kind(tmp_path: Path) -> None:
    code, _, errors = await told(tmp_path / "data", "validate", "--schema", str(tmp_path / "schemas"))
    assert (code, "# yaml-language-server: $schema=" in errors) == (0, True)
    names = {path.name for path in (tmp_path / "schemas").iterdir()}
    assert {"definition.schema.json", "trait.schema.json", "tracking_plan.schema.json"} <= names
