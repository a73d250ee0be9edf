"""`deploy/compose.yaml` as Docker Compose's own library reads it, with the secrets that `new-secrets.sh` makes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy_steps import DEPLOY, TOOLS
from obverse.settings import read_settings

pytestmark = pytest.mark.service

Secrets = Mapping[str, str]


@pytest.fixture(scope="module")
def reader() -> Path:
    program = TOOLS / "compose-read"
    if not program.exists():
        assert os.environ.get("CI") != "true"
        pytest.skip("the tools are not there: make deploy-tools")
    return program


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The `.env` that the script writes, beside a copy of it."""
    shutil.copy(DEPLOY / "new-secrets.sh", tmp_path)
    run_script(tmp_path)
    return tmp_path / ".env"


def run_script(folder: Path) -> str:
    return subprocess.run(
        ["sh", folder / "new-secrets.sh"], check=True, capture_output=True, text=True, cwd=folder
    ).stderr


def secrets_in(file: Path) -> Secrets:
    lines = file.read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines)


def read(reader: Path, secrets: Secrets, *profiles: str) -> Any:
    asked = subprocess.run(
        [reader, DEPLOY / "compose.yaml", *profiles],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **secrets},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    return msgspec.json.decode(asked.stdout)


def test_it_is_read_whole(reader: Path, made: Path) -> None:
    secrets = secrets_in(made)
    small = read(reader, secrets)["services"]
    assert {"postgres", "kafka", "redis", "collector", "api", "worker-identity", "prometheus"} <= set(small)
    assert not {one for one in small if "flink" in one or "spark" in one}
    assert set(read(reader, secrets, "flink")["services"]) - set(small) == {
        "flink-jobmanager",
        "flink-taskmanager",
        "engine-flink",
    }
    assert set(read(reader, secrets, "spark")["services"]) - set(small) == {
        "spark-master",
        "spark-worker",
        "engine-spark",
    }
    assert small["collector"]["ports"][0]["host_ip"] == "127.0.0.1"


def test_collectors_can_have_a_port_each(reader: Path, made: Path) -> None:
    secrets = secrets_in(made)
    told = read(reader, {**secrets, "COLLECTOR_PORT": "8030-8033", "COLLECTOR_PARTITIONS": "2"})["services"][
        "collector"
    ]
    (port,) = told["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8030-8033", 8030)
    assert told["environment"]["OBVERSE_COLLECTOR__PARTITIONS"] == "2"
    # A name of its own would keep it from being scaled.
    assert "container_name" not in told


def test_apis_can_have_a_port_each(reader: Path, made: Path) -> None:
    told = read(reader, {**secrets_in(made), "API_PORT": "8040-8041"})["services"]["api"]
    (port,) = told["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8040-8041", 8040)
    assert "container_name" not in told


def test_who_asks_for_histories_and_who_computes_them_are_told_alike(
    reader: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.parent)
    secrets = {**secrets_in(made), "OBVERSE_ENGINE": "spark"}
    for told, history in ((secrets, "store"), ({**secrets, "ENGINE_HISTORY": "kafka"}, "kafka")):
        services = read(reader, told, "spark")["services"]
        for name in ("worker-identity", "engine-spark"):
            with monkeypatch.context() as patch:
                for variable, value in services[name]["environment"].items():
                    if not variable.endswith("_FILE"):
                        patch.setenv(variable, value)
                adapter, table = read_settings().port_options("engine")
            assert (adapter, table["history"]) == ("spark", history), name


def test_without_secrets_it_says_how_to_make_them(reader: Path) -> None:
    refused = subprocess.run(
        [reader, DEPLOY / "compose.yaml"], env={"HOME": "/nonexistent"}, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "deploy/new-secrets.sh" in refused.stderr


def test_secrets_are_made_once_for_one_reader(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    first = secrets_in(made)
    assert all(len(value) >= 48 for value in first.values())
    assert first["REDIS_PASSWORD"] in first["REDIS_URL"]
    assert "already" in run_script(made.parent)
    assert secrets_in(made) == first
    # What is lost is made anew, and nothing else.
    made.write_text(
        "".join(f"{name}={value}\n" for name, value in first.items() if name != "API_KEY"), encoding="ascii"
    )
    assert "API_KEY" in run_script(made.parent)
    again = secrets_in(made)
    assert {name: value for name, value in again.items() if name != "API_KEY"} == {
        name: value for name, value in first.items() if name != "API_KEY"
    }
    assert again["API_KEY"] != first["API_KEY"]
