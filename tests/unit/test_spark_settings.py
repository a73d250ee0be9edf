"""Settings of an engine in Spark: what is refused, and what Spark and the job are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from obverse.adapters._buckets.histories import Wanted
from obverse.adapters.spark.environment import SparkLacking, find_spark
from obverse.adapters.spark.histories.answering import batch_words
from obverse.adapters.spark.histories.records import Ask
from obverse.adapters.spark.hosting import SparkHost, open_engine_host
from obverse.adapters.spark.settings import Hosted, SparkSettings, history_words, job_words, spark_words
from obverse.settings import BadSettings, Settings
from obverse.wiring import wire

KAFKA = {"servers": "kafka-1:9092", "prefix": "shop"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cores": 0}, "engine.spark.cores is 0: choose 1 to 1024"),
        ({"tasks": 5000}, "engine.spark.tasks is 5000"),
        ({"batch_records": 0}, "engine.spark.batch_records is 0"),
        ({"driver_mb": 100}, "engine.spark.driver_mb is 100: choose 512"),
        ({"executor_mb": 100}, "engine.spark.executor_mb is 100: choose 512"),
        ({"master": "spark-1:7077"}, "engine.spark.master is 'spark-1:7077': write it as spark://host:port"),
        ({"buckets": 0}, "buckets is 0: choose 1 to"),
        ({"history": "log"}, "engine.spark.history is 'log': choose one of store, kafka, archive"),
        ({"history": "archive"}, r'engine.spark.history is "archive", and nothing is archived: set archive.adapter'),
        ({"history_cores": 0}, "engine.spark.history_cores is 0: choose 1 to 1024"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SparkSettings(**given)


async def test_without_kafka_nothing_is_hosted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"event_log\.kafka\.servers is not set"):
        await open_engine_host(SparkSettings(), tmp_path)


def test_a_folder_of_this_machine_is_told_as_a_url_and_others_as_they_are(tmp_path: Path) -> None:
    assert SparkSettings(folder=str(tmp_path)).place() == f"file://{tmp_path}"
    assert SparkSettings(folder="s3a://bucket/spark/").place() == "s3a://bucket/spark"


def test_the_job_reads_the_topics_of_its_workspace_and_is_named_for_it() -> None:
    settings = SparkSettings(kafka=KAFKA)
    assert job_words(settings, Hosted())["topics"] == {
        "routed": "shop.main.routed",
        "moves": "shop.main.moves",
        "folded": "shop.main.folded",
    }
    assert spark_words(settings)["spark.app.name"] == "shop.main"


def test_a_password_is_in_the_jobs_file_and_nowhere_else() -> None:
    secret = {"security": "sasl_ssl", "username": "ada", "password": "secret"}
    settings = SparkSettings(kafka=KAFKA | secret)
    assert "secret" not in repr(settings)
    assert "secret" not in json.dumps(spark_words(settings))
    told = job_words(settings, Hosted())
    for clients in (told["reading"], told["writing"]):
        assert isinstance(clients, dict)
        assert "secret" in clients["sasl.jaas.config"]
        assert clients["bootstrap.servers"] == "kafka-1:9092"


def test_a_broker_that_is_dead_is_not_asked_for_long_and_then_another_is() -> None:
    told = job_words(SparkSettings(kafka=KAFKA), Hosted())
    reading = told["reading"]
    assert isinstance(reading, dict)
    waits = int(reading["default.api.timeout.ms"]) / 1000
    assert int(reading["request.timeout.ms"]) <= waits * 1000
    # As long as brokers take to miss one of them (nine seconds), and to agree on another.
    assert waits <= 15
    assert waits * int(str(told["tries"])) >= 60


def test_states_are_in_rocksdb_and_each_core_is_an_executor() -> None:
    told = spark_words(SparkSettings(kafka=KAFKA, cores=2, tasks=8, executor_java="-Xint"))
    assert told["spark.sql.streaming.stateStore.providerClass"].endswith("RocksDBStateStoreProvider")
    assert (told["spark.cores.max"], told["spark.executor.cores"]) == ("2", "1")
    assert told["spark.sql.shuffle.partitions"] == "8"
    assert told["spark.executor.extraJavaOptions"].endswith(" -Xint")


def test_where_spark_is_not_it_is_said_how_it_is_got(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SparkLacking, match="make spark"):
        find_spark(str(java_there(tmp_path, monkeypatch)))


def test_without_its_jars_it_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = java_there(tmp_path, monkeypatch)
    (folder / "lib" / "python3.11" / "site-packages" / "pyspark").mkdir(parents=True)
    with pytest.raises(SparkLacking, match="its connector of Kafka is not in"):
        find_spark(str(folder))


def test_without_java_it_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SparkLacking, match="needs Java 17 or 21"):
        find_spark(str(tmp_path))


def java_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JAVA_HOME, and a folder with nothing in it."""
    java = folder / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(mode=0o755)
    monkeypatch.setenv("JAVA_HOME", str(folder / "java"))
    return folder / "spark"


def batch(settings: SparkSettings) -> dict[str, Any]:
    return batch_words(settings, Ask(b"run", Wanted(7, b"documents", {0: 5}), 3, 9))


def test_a_batch_job_is_told_where_everything_is(tmp_path: Path) -> None:
    told = batch(SparkSettings(kafka=KAFKA, history="archive", archive=str(tmp_path)))
    assert told["archive"] == f"file://{tmp_path}/main/events/*/*.parquet"
    assert (told["kept"], told["begin"], told["end"], told["version"]) == ({"0": 5}, 3, 9, 7)
    assert told["topics"]["events"] == "shop.main.events"
    url = SparkSettings(kafka=KAFKA, history="archive", archive="s3a://bucket/archive/")
    assert batch(url)["archive"] == "s3a://bucket/archive/main/events/*/*.parquet"
    assert batch(SparkSettings(kafka=KAFKA, history="kafka", archive="s3a://bucket"))["archive"] == ""


def test_of_one_machine_a_batch_jobs_driver_has_the_memory_that_an_executor_would() -> None:
    alone = SparkSettings(kafka=KAFKA, history="kafka", executor_mb=900, history_cores=2)
    assert history_words(alone)["spark.driver.memory"] == "900m"
    assert history_words(alone)["spark.cores.max"] == "2"
    cluster = SparkSettings(kafka=KAFKA, history="kafka", master="spark://m:1")
    assert history_words(cluster)["spark.driver.memory"] == "512m"


async def test_an_installation_whose_archive_is_set_tells_spark_where_it_is(tmp_path: Path) -> None:
    tables: dict[str, Any] = {
        "data": tmp_path,
        "event_log": {"adapter": "kafka", "kafka": KAFKA},
        "engine": {"adapter": "spark", "spark": {"history": "archive"}},
    }
    with pytest.raises(BadSettings, match=r'history is "archive", and nothing is archived'):
        await wire(Settings.model_validate(tables)).engine_host("spark")
    archived = Settings.model_validate({**tables, "archive": {"adapter": "parquet"}})
    host = await wire(archived).engine_host("spark")
    assert isinstance(host, SparkHost)
    assert host.settings.archive == str(tmp_path / "archive")
