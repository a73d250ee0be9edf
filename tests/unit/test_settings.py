"""Settings come from a file and the environment; what cannot be used is told with its name and what to write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obverse.settings import FILE, BadSettings, Settings, read_settings

Environment = dict[str, str]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("OBVERSE_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def settings(monkeypatch: pytest.MonkeyPatch, environment: Environment, toml: str | None = None) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if toml is not None:
        Path(FILE).write_text(toml, encoding="utf-8")
    return read_settings()


def refused(monkeypatch: pytest.MonkeyPatch, environment: Environment, toml: str | None = None) -> str:
    with pytest.raises(BadSettings) as caught:
        settings(monkeypatch, environment, toml)
    return str(caught.value)


def test_without_any_everything_is_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(monkeypatch, {})
    assert (read.collector.host, read.api.host, read.worker.host) == ("127.0.0.1",) * 3
    assert (read.collector.port, read.api.port) == (8030, 8040)
    assert read.database_url is None
    assert read.definitions_folder == Path("obverse-data/definitions")
    assert [read.port_options(port)[0] for port in ("event_log", "profile_store", "profile_cache", "engine")] == [
        "postgres",
        "postgres",
        "local",
        "embedded",
    ]


def test_the_contracts_limits_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(monkeypatch, {}).collector
    assert (read.event_bytes, read.batch_bytes, read.batch_items) == (32 * 1024, 500 * 1024, 2500)


def test_a_collector_takes_all_of_the_log_or_as_much_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, {}).collector.partitions is None
    toml = "partitions = 4\n[collector]\npartitions = 4\n"
    assert settings(monkeypatch, {}, toml).collector.partitions == 4


def test_a_file_sets_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    toml = 'partitions = 3\nworkspace = "shop"\n[collector]\nport = 1234\nbatch_items = 7\n'
    read = settings(monkeypatch, {"OBVERSE_PARTITIONS": "5", "OBVERSE_COLLECTOR__PORT": "0"}, toml)
    assert (read.partitions, read.workspace) == (5, "shop")
    assert (read.collector.port, read.collector.batch_items) == (0, 7)


def test_a_table_of_its_own_for_each_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    toml = '[event_log]\nadapter = "memory"\n[event_log.memory]\npartitions = 4\n'
    read = settings(monkeypatch, {"OBVERSE_ENGINE__EMBEDDED__CHECKPOINT_SECONDS": "2"}, toml)
    assert read.port_options("event_log") == ("memory", {"partitions": 4})
    assert read.port_options("engine") == ("embedded", {"checkpoint_seconds": 2})
    monkeypatch.setenv("OBVERSE_EVENT_LOG__ADAPTER", "postgres")
    assert read_settings().port_options("event_log") == ("postgres", {})


def test_folders_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, {"OBVERSE_DATA": "/x"}).definitions_folder == Path("/x/definitions")
    assert settings(monkeypatch, {"OBVERSE_DEFINITIONS": "/y"}).definitions_folder == Path("/y")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"DATABASE_URL": "postgresql://u:secret@db/x", "OBVERSE_API__KEY": "secret"}
    read = settings(monkeypatch, environment)
    assert "secret" not in repr(read) + str(read)
    assert read.database_url is not None
    assert read.database_url.get_secret_value().endswith("secret@db/x")


def test_what_a_supervisor_tells_its_roles_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    told = settings(monkeypatch, {"OBVERSE_LISTEN_FD": "3", "OBVERSE_LIFELINE_FD": "4", "OBVERSE_RUNTIME_DIR": "/run"})

    assert told == settings(monkeypatch, {})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OBVERSE_COLLECTR__PORT", "OBVERSE_COLLECTOR"),
        ("OBVERSE_PARTITION", "OBVERSE_PARTITIONS"),
        ("OBVERSE_EVENTLOG__ADAPTER", "OBVERSE_EVENT_LOG"),
        ("obverse_dat", "OBVERSE_DATA"),
        ("OBVERSE_DATABASE_URL", "DATABASE_URL"),
    ],
)
def test_an_unknown_variable_is_told_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    assert refused(monkeypatch, {name: "1"}) == f"the environment variable {name} is no setting; did you mean {meant}?"


def test_a_variable_that_nothing_is_like_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch, {"OBVERSE_9999_7777": "1"}) == (
        "the environment variable OBVERSE_9999_7777 is no setting"
    )


@pytest.mark.parametrize(
    ("environment", "toml", "message"),
    [
        ({"OBVERSE_COLLECTOR__PROT": "1"}, None, "collector.prot is no setting; did you mean port?"),
        ({}, "partitons = 3\n", "partitons is no setting; did you mean partitions?"),
        ({}, "[api]\nhosts = 'x'\n", "api.hosts is no setting; did you mean host?"),
        ({"OBVERSE_COLLECTOR__PORT": "x"}, None, "collector.port: Input should be a valid integer"),
        ({"OBVERSE_COLLECTOR__PORT": "65536"}, None, "collector.port: Input should be less than or equal to 65535"),
        ({"OBVERSE_PARTITIONS": "0"}, None, "partitions: Input should be greater than or equal to 1"),
        (
            {"OBVERSE_COLLECTOR__PARTITIONS": "0"},
            None,
            "collector.partitions: Input should be greater than or equal to 1",
        ),
        ({"OBVERSE_COLLECTOR__PARTITIONS": "some"}, None, "collector.partitions: Input should be a valid integer"),
        (
            {"OBVERSE_COLLECTOR__PARTITIONS": "5", "OBVERSE_PARTITIONS": "4"},
            None,
            "collector.partitions is 5, but the log has partitions = 4: set at most 4, or leave it out",
        ),
        ({"OBVERSE_PARTITIONS": "1025"}, None, "partitions: Input should be less than or equal to 1024"),
        ({"OBVERSE_WORKSPACE": "My Shop"}, None, "workspace: String should match pattern"),
        ({"OBVERSE_LOG_LEVEL": "loud"}, None, "log_level: String should match pattern '^(DEBUG|INFO|WARNING|ERROR)$'"),
        ({"OBVERSE_COLLECTOR__BATCH_ITEMS": "0", "OBVERSE_PARTITIONS": "0"}, None, "collector.batch_items: "),
        ({}, "partitions = \n", "obverse.toml cannot be read: Invalid value (at line 1"),
        ({}, "a = 1\n[collector\n", "obverse.toml cannot be read: Expected ']'"),
        ({"OBVERSE_COLLECTOR": "{port"}, None, "the environment cannot be read: error parsing value for field"),
    ],
)
def test_a_bad_value_is_told_with_its_name(
    monkeypatch: pytest.MonkeyPatch, environment: Environment, toml: str | None, message: str
) -> None:
    assert message in refused(monkeypatch, environment, toml)


def test_several_bad_values_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refused(monkeypatch, {"OBVERSE_PARTITIONS": "0", "OBVERSE_API__PORT": "-1"})
    assert "partitions: " in told
    assert "api.port: " in told
    assert "(set in the environment or in obverse.toml)" in told


def test_a_file_that_is_no_text_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(FILE).write_bytes(b"workspace = '\xff'")
    assert "obverse.toml cannot be read" in refused(monkeypatch, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.com", ""])
@pytest.mark.parametrize("key", [None, ""])
def test_an_api_that_others_can_reach_needs_a_key(monkeypatch: pytest.MonkeyPatch, host: str, key: str | None) -> None:
    environment = {"OBVERSE_API__HOST": host} | ({} if key is None else {"OBVERSE_API__KEY": key})
    told = refused(monkeypatch, environment)
    assert told.startswith(f"api.host is {host!r}, which others can reach: set api.key (OBVERSE_API__KEY), or keep")
    assert settings(monkeypatch, {"OBVERSE_API__KEY": "k"}).api.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_an_api_for_this_machine_alone_does_not(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert settings(monkeypatch, {"OBVERSE_API__HOST": host}).api.key is None


def in_file(folder: Path, text: str) -> str:
    path = folder / "secret"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("url", ["hello", "mysql://u:hello@db/x", "host=hello dbname=x", "postgresql:hello"])
def test_a_database_url_that_is_none_is_told_without_repeating_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    words = "it is no URL of a PostgreSQL: write postgresql://USER:PASSWORD@HOST:5432/DATABASE"
    said = refused(monkeypatch, {"DATABASE_URL": url})
    assert said.startswith(f"DATABASE_URL: {words}")
    assert "hello" not in said
    monkeypatch.delenv("DATABASE_URL")
    assert f"query_database_url: {words}" in refused(monkeypatch, {"OBVERSE_QUERY_DATABASE_URL": url})


def test_an_empty_database_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not settings(monkeypatch, {"DATABASE_URL": ""}).database_url


def test_secrets_may_stand_in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "postgresql://u:p@db/x"
    environment = {
        "DATABASE_URL_FILE": in_file(tmp_path, f"{url}\n"),
        "OBVERSE_API__KEY_FILE": in_file(tmp_path, f"{url}\n"),
        "OBVERSE_QUERY_DATABASE_URL_FILE": in_file(tmp_path, f"{url}\n"),
        "OBVERSE_EVENT_LOG__KAFKA__SERVERS": "kafka:9092",
    }
    read = settings(monkeypatch, environment)
    assert read.database_url is not None
    assert read.api.key is not None
    assert read.query_database_url is not None
    assert read.database_url.get_secret_value() == read.api.key.get_secret_value() == url
    assert read.query_database_url.get_secret_value() == url
    # Digits stay text, and what else is set of the table stays beside it.
    monkeypatch.setenv("OBVERSE_EVENT_LOG__KAFKA__PASSWORD_FILE", in_file(tmp_path, "0123"))
    for name in ("DATABASE_URL_FILE", "OBVERSE_API__KEY_FILE", "OBVERSE_QUERY_DATABASE_URL_FILE"):
        monkeypatch.delenv(name)
    assert read_settings().port_options("event_log", "kafka")[1] == {"servers": "kafka:9092", "password": "0123"}


def test_a_setting_that_is_a_file_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings(monkeypatch, {"OBVERSE_EVENT_LOG__KAFKA__KEY_FILE": "/tls.key"})
    assert read.port_options("event_log", "kafka")[1] == {"key_file": "/tls.key"}


@pytest.mark.parametrize(
    ("text", "beside", "message"),
    [
        (None, {}, "OBVERSE_API__KEY_FILE is 'missing', which cannot be read"),
        (" \n", {}, "which is empty: put the secret there"),
        ("key", {"OBVERSE_API__KEY": "other"}, "both OBVERSE_API__KEY and OBVERSE_API__KEY_FILE are set: remove one"),
    ],
)
def test_a_file_that_is_of_no_use_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, beside: Environment, message: str
) -> None:
    path = "missing" if text is None else in_file(tmp_path, text)
    assert message in refused(monkeypatch, {"OBVERSE_API__KEY_FILE": path, **beside})


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = refused(monkeypatch, {"OBVERSE_API__HOST_FILE": in_file(tmp_path, "127.0.0.1")})
    assert told.startswith("api.host_file is no setting")
