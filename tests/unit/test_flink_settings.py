"""Flink's settings, where it is found, what its tasks import, and with what a job begins: without Flink."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from obverse.adapters._kafka.java_client import java_client
from obverse.adapters._kafka.settings import KafkaLogSettings
from obverse.adapters.flink.home import FlinkHome, FlinkLacking, find_home
from obverse.adapters.flink.hosting import open_engine_host
from obverse.adapters.flink.processes import JavaProcess
from obverse.adapters.flink.settings import FlinkSettings, cluster_configuration, job_configuration
from obverse.adapters.flink.submitting import job_name, newest_checkpoint, pack
from obverse.apps.roles.engine_host import engine_host
from obverse.settings import BadSettings, Settings
from obverse.wiring import wire

KAFKA = {"servers": "kafka-1:9092", "prefix": "shop"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"parallelism": 0}, "engine.flink.parallelism is 0: choose 1 to 1024"),
        ({"checkpoint_ms": 10}, "engine.flink.checkpoint_ms is 10: choose 100 to 600000"),
        ({"heap_mb": 64}, "engine.flink.heap_mb is 64: choose 128 to 65536"),
        ({"task_managers": 65}, "engine.flink.task_managers is 65: choose 1 to 64"),
        ({"rest": "flink"}, "engine.flink.rest is 'flink': write it as host:port"),
        ({"buckets": 0}, "buckets is 0: choose 1 to"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FlinkSettings(**given)


async def test_without_kafka_nothing_is_hosted(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"event_log\.kafka\.servers is not set"):
        await wire(Settings(data=tmp_path)).engine_host("flink")


async def test_where_flink_is_not_installed_the_role_says_how_to_get_it(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path,
        event_log={"kafka": KAFKA},
        engine={"adapter": "flink", "flink": {"home": str(tmp_path)}},
    )
    with pytest.raises(FlinkLacking, match="make flink"):
        await engine_host("flink", wire(settings), {}, asyncio.Event())


async def test_checkpoints_are_in_the_data_folder_if_nothing_else_is_said(tmp_path: Path) -> None:
    host = await open_engine_host(FlinkSettings(kafka=KAFKA), tmp_path / "flink")

    assert host.settings.place() == f"file://{tmp_path}/flink"


def test_a_folder_of_this_machine_is_told_as_a_url_and_others_as_they_are(tmp_path: Path) -> None:
    assert FlinkSettings(folder=str(tmp_path)).place() == f"file://{tmp_path}"
    assert FlinkSettings(folder="s3://bucket/flink").place() == "s3://bucket/flink"


def test_memory_is_as_it_was_set(tmp_path: Path) -> None:
    settings = FlinkSettings(heap_mb=512, managed_mb=1024)
    told = cluster_configuration(settings, rpc=1, rest=2, scratch=tmp_path)

    assert told["taskmanager.memory.task.heap.size"] == "448m"
    assert told["taskmanager.memory.framework.heap.size"] == "64m"
    assert told["taskmanager.memory.managed.size"] == "1024m"
    assert told["rest.bind-address"] == told["jobmanager.bind-host"] == told["taskmanager.bind-host"] == "127.0.0.1"


def test_a_job_begins_with_a_savepoint_only_if_there_is_one() -> None:
    settings = FlinkSettings(kafka=KAFKA, rest="flink:8081")
    fresh = job_configuration(settings, job_name(settings), Path("python"), "")
    restored = job_configuration(settings, job_name(settings), Path("python"), "file:///kept/chk-7")

    assert "execution.state-recovery.path" not in fresh
    assert restored["execution.state-recovery.path"] == "file:///kept/chk-7"
    assert (fresh["rest.address"], fresh["rest.port"], fresh["pipeline.name"]) == ("flink", "8081", "shop.main")


def test_flink_that_is_not_there_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FlinkLacking, match="run `make flink`"):
        find_home(str(tmp_path))


def test_the_latest_whole_checkpoint_is_found_whichever_job_wrote_it(tmp_path: Path) -> None:
    place = f"file://{tmp_path}"
    assert newest_checkpoint(place) == ""
    for age, name in enumerate(("checkpoints/b/chk-3", "savepoints/one", "checkpoints/a/chk-9")):
        (tmp_path / name).mkdir(parents=True)
        whole = tmp_path / name / "_metadata"
        whole.touch()
        os.utime(whole, (1000 - age, 1000 - age))
    (tmp_path / "checkpoints/b/chk-4").mkdir()  # it was not finished

    assert newest_checkpoint(place) == f"file://{tmp_path}/checkpoints/b/chk-3"
    assert newest_checkpoint("s3://bucket/flink") == ""


def test_tasks_can_import_all_that_they_need_from_the_archive(tmp_path: Path) -> None:
    beside = tmp_path / "beside.py"
    beside.write_text("FOUND = 1\n")
    pack(tmp_path / "code.zip", [beside])

    with zipfile.ZipFile(tmp_path / "code.zip") as archive:
        names = set(archive.namelist())
    assert "beside.py" in names
    assert not any(name.startswith(("obverse/apps", "obverse/flows", "obverse/adapters/postgres")) for name in names)
    # In Flink's environment there are msgspec, zstandard and jsonschema-rs, and nothing else of ours.
    alone = (
        "import sys; import msgspec, zstandard, jsonschema_rs;"
        "sys.path = [one for one in sys.path if 'src' not in one];"
        f"sys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one).lower()];"
        f"sys.path.insert(0, {str(tmp_path / 'code.zip')!r});"
        "lacking = ('confluent_kafka', 'asyncpg', 'aiohttp', 'structlog', 'pydantic', 'yaml');"
        "sys.modules.update(dict.fromkeys(lacking));"
        "import obverse.adapters.flink.folding as folding; assert '.zip' in folding.__file__, folding.__file__"
    )
    subprocess.run([sys.executable, "-c", alone], check=True, cwd=tmp_path, timeout=60)


def test_java_says_who_it_is_as_we_do() -> None:
    said = java_client(
        KafkaLogSettings(
            servers="kafka-1:9093",
            security="sasl_ssl",
            username="ada",
            password='a"b\\c',
            ca_file="/ca.pem",
            certificate_file="/me.pem",
        )
    )

    assert said["security.protocol"] == "SASL_SSL"
    assert said["sasl.mechanism"] == "SCRAM-SHA-512"
    assert said["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        r'username="ada" password="a\"b\\c";'
    )
    assert (said["ssl.truststore.type"], said["ssl.truststore.location"]) == ("PEM", "/ca.pem")
    assert (said["ssl.keystore.type"], said["ssl.keystore.location"]) == ("PEM", "/me.pem")


def test_a_key_in_a_file_of_its_own_cannot_be_said_to_java() -> None:
    settings = KafkaLogSettings(servers="k:1", security="ssl", certificate_file="/me.pem", key_file="/key.pem")
    with pytest.raises(ValueError, match="put both into certificate_file"):
        java_client(settings)


def test_what_both_environments_fold_with_is_of_the_same_versions() -> None:
    root = Path(__file__).parents[2]
    ours, flinks = (
        dict(line.split(" ")[0].split("==") for line in path.read_text().splitlines() if line[:1].isalpha())
        for path in (root / "requirements.lock", root / "requirements-flink.lock")
    )
    for name in ("msgspec", "zstandard", "jsonschema-rs"):
        assert ours[name] == flinks[name], f"{name}: put {ours[name]} into requirements-flink.in, then `make lock`"


def test_what_rocksdb_logs_stays_beside_its_state(tmp_path: Path) -> None:
    """Where `log.file` is it would have a name as long as the path of its state: too long, when a job is rescaled."""
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\necho "$@"\n')
    java.chmod(0o755)
    (tmp_path / "packages").mkdir()
    home = FlinkHome(str(java), tmp_path, tmp_path / "packages")
    process = JavaProcess("task-manager", "Main", 64, 64, home, tmp_path)

    process.start()
    assert process.process is not None
    process.process.wait()

    words = (tmp_path / "task-manager.out").read_text().split()
    assert "Main" in words
    assert not [word for word in words if word.startswith("-Dlog.file=")]
