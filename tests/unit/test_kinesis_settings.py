"""What the log in Kinesis is told, and what it says where that will not do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from obverse.adapters.kinesis import KinesisLogSettings
from obverse.adapters.kinesis.client import Kinesis
from obverse.adapters.runtime.system import open_runtime
from obverse.ports.event_log import Stream
from obverse.ports.outcomes import AccessRefused, Unreachable


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"partitions": 0}, "event_log.partitions is 0: choose 1 to 256"),
        ({"partitions": 257}, "event_log.partitions is 257: choose 1 to 256"),
        ({"stream_prefix": "our streams"}, "a stream cannot be called 'our streams-main-events'"),
        ({"workspace": "Zürich"}, "a stream cannot be called 'obverse-Zürich-events'"),
        ({"workspace": "w" * 120}, "128 at most"),
        ({"shards": -1}, "event_log.kinesis.shards is -1"),
        ({"retention_hours": 23}, "event_log.kinesis.retention_hours is 23: choose 24 to 8760"),
        ({"decisions_retention_hours": 8761}, "event_log.kinesis.decisions_retention_hours is 8761"),
        ({"poll_ms": 0}, "event_log.kinesis.poll_ms is 0"),
        ({"look_ms": 60_001}, "event_log.kinesis.look_ms is 60001"),
        ({"linger_ms": -1}, "event_log.kinesis.linger_ms is -1"),
        ({"pace_ms": 1001}, "event_log.kinesis.pace_ms is 1001"),
        ({"group_bytes": 0}, "event_log.kinesis.group_bytes is 0"),
        ({"give_up_seconds": float("nan")}, "event_log.kinesis.give_up_seconds is nan"),
        ({"position_seconds": -1}, "event_log.kinesis.position_seconds is -1"),
        ({"access_key_id": "key"}, "set both, or neither"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        KinesisLogSettings(dsn="", **told)


def test_secrets_are_not_shown() -> None:
    shown = repr(
        KinesisLogSettings(
            dsn="postgresql://ours:hush1@db", access_key_id="hush2", secret_access_key="hush3", session_token="hush4"
        )
    )
    assert "hush" not in shown


def test_a_stream_gets_a_shard_for_each_partition_at_least() -> None:
    made = [KinesisLogSettings(dsn="", partitions=count).shards_of(Stream.EVENTS) for count in (1, 2, 3, 4, 5, 256)]
    assert made == [1, 2, 4, 4, 8, 256]
    assert KinesisLogSettings(dsn="", partitions=8, shards=3).shards_of(Stream.EVENTS) == 3
    for stream in (Stream.CHANGES, Stream.REJECTED):
        assert KinesisLogSettings(dsn="", partitions=8, shards=3).shards_of(stream) == 1


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that knows nothing of AWS."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("nothing_known")
@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "set event_log.kinesis.region, or AWS_REGION"),
        ({"region": "eu-central-1"}, "give the process a role, or set AWS_ACCESS_KEY_ID"),
        ({"region": "not a region"}, r"\[event_log.kinesis\]|set event_log.kinesis.region"),
        ({"region": "eu-central-1", "endpoint_url": "no address"}, r"correct the table \[event_log.kinesis\]"),
    ],
)
async def test_who_cannot_connect_is_told_what_to_set(told: dict[str, Any], said: str) -> None:
    kinesis = Kinesis(KinesisLogSettings(dsn="", **told), open_runtime())
    with pytest.raises(AccessRefused, match=said):
        await kinesis.ensure(Stream.EVENTS)
    await kinesis.close()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    settings = KinesisLogSettings(
        dsn="",
        region="eu-central-1",
        endpoint_url="http://127.0.0.1:1",
        access_key_id="key",
        secret_access_key="secret",
    )
    kinesis = Kinesis(settings, open_runtime())
    with pytest.raises(Unreachable, match=r"look at the stream obverse-main-events.*127\.0\.0\.1:1"):
        await kinesis.ensure(Stream.EVENTS)
    await kinesis.close()
    with pytest.raises(Unreachable, match="closed"):
        await kinesis.ensure(Stream.EVENTS)


WITHOUT = """
import asyncio, sys
sys.modules["aiobotocore"] = sys.modules["botocore"] = sys.modules["moto"] = None
from obverse.sandboxes.kinesis import open_kinesis
from obverse.wiring import find
for work in (lambda: find("event_log", "kinesis"), lambda: asyncio.run(open_kinesis())):
    try:
        work()
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_without_the_extra_it_is_said_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60)
    log, stand_in = done.stdout.splitlines()
    assert log == "BadSettings event_log.adapter is 'kinesis', which needs aiobotocore: install obverse[aws]"
    assert stand_in.startswith("SandboxLacking")
    assert stand_in.endswith("pip install 'obverse[sandbox-aws]'")
