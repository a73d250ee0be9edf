"""Settings: one `obverse.toml`, environment variables above it."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

PREFIX: Final = "OBVERSE_"
FILE: Final = "obverse.toml"
_DEEPER: Final = "__"
_DATABASE: Final = "DATABASE_URL"
_POSTGRESQL: Final = ("postgresql://", "postgres://")
_ROLE_VARIABLES: Final = frozenset({"OBVERSE_LISTEN_FD", "OBVERSE_LIFELINE_FD", "OBVERSE_RUNTIME_DIR"})
"""What a supervisor tells its roles; not settings."""
_IN_FILE: Final = "_FILE"
_SECRET: Final = re.compile(
    r"DATABASE_URL|REDIS_URL|OBVERSE_(QUERY_DATABASE_URL|API__KEY|LOAD__WRITE_KEY|PROFILE_CACHE__\w+__URL"
    r"|\w+__(\w+_)?(PASSWORD|ACCESS_KEY|ACCESS_KEY_ID|TOKEN))"
)
"""The variables of secrets: each may name a file instead, with `_FILE` behind it, as containers are given them."""


class BadSettings(ValueError):
    """Settings that cannot be used; the message says which, and what to write."""


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Collector(_Table):
    """The `[collector]` table: where SDKs send to."""

    host: str = "127.0.0.1"
    port: int = Field(default=8030, ge=0, le=65535)
    queue_bytes: int = Field(default=64 << 20, ge=1 << 20)
    """Requests on their way into the log; beyond, senders are asked to wait (429)."""
    queue_ms: int = Field(default=20, ge=1)
    """How long a request may have to wait until it is read, as far as can be foreseen; beyond, the same."""
    event_bytes: int = Field(default=32 * 1024, ge=1024)
    batch_bytes: int = Field(default=500 * 1024, ge=1024)
    """After unpacking."""
    batch_items: int = Field(default=2500, ge=1)
    message_id_characters: int = Field(default=99, ge=1)
    group_id_characters: int = Field(default=500, ge=1)
    properties: int = Field(default=10_000, ge=1)
    public_url: str = Field(default="", pattern=r"^(https?://[^/?#]+)?$")
    """Scheme and host by which others reach it, if a proxy stands before it: CRMs sign the address that they call."""
    behind_proxy: bool = False
    """Whether a proxy of ours stands before it, whose `X-Forwarded-For` tells who asks."""
    partitions: int | None = Field(default=None, ge=1, le=1024)
    """Of the log, that one collector takes, so that several take events in; all of them, if not set."""


class Api(_Table):
    """The `[api]` table: where profiles are read."""

    host: str = "127.0.0.1"
    port: int = Field(default=8040, ge=0, le=65535)
    key: SecretStr | None = None
    """Bearer token that every read needs. Must be set if the host is not this machine alone."""
    public_url: str = Field(default="", pattern=r"^(https?://[^/?#]+)?$")
    """Scheme and host by which people reach it, if that is another one: links to sign in begin with it."""
    space_requests_per_second: int = Field(default=100, ge=0)
    """How often Segment's Profile API may be asked, of each process, as at Segment; 0: as often as one likes."""


class Worker(_Table):
    """The `[worker]` table: its health and metrics; it serves nothing else."""

    host: str = "127.0.0.1"
    port: int = Field(default=8050, ge=0, le=65535)
    flows: list[str] = []
    """What it does, of all that a worker can (`obverse run worker --help`); everything, if none is named."""


class Load(_Table):
    """The `[load]` table: how files of history are brought in, by `obverse load` and by the console."""

    collector: str = Field(default="", pattern=r"^(https?://[^/?#]+)?$")
    """Scheme, host and port of the collector that rows are sent to; that of this installation, if not set."""
    write_key: SecretStr | None = None
    """Of the source that they are sent as; one that the installation makes for itself, if not set."""
    upload_mb: int = Field(default=1024, ge=1)
    """MiB that a file which is uploaded in the console may have."""


class ArchiveRule(_Table):
    """Events that are left out of the archive once they are old enough; what is not named is of any kind."""

    days: int = Field(ge=1)
    type: str | None = Field(default=None, pattern=r"^(track|identify|page|screen|group|alias)$")
    event: str | None = None
    source: str | None = None


class Archive(_Table):
    """The `[archive]` table: where events are kept beyond the log, for anybody's SQL. It names no adapter: nowhere."""

    model_config = ConfigDict(extra="allow", frozen=True)
    """A table for each adapter."""

    adapter: str = ""
    hours: int = Field(default=24, ge=1, le=8784)
    """Of a period, from 1970 on: once it is over, its events are archived."""
    rules: list[ArchiveRule] = []
    """Which events are left out, and after how many days."""


class Sandbox(_Table):
    """The `[sandbox]` table: what stands in for the outside on this machine."""

    host: str = "127.0.0.1"
    port: int = Field(default=8060, ge=0, le=65535)
    """The local inbox is read beneath /inbox, the HubSpot sandbox is at /hubspot."""
    smtp_port: int = Field(default=8025, ge=0, le=65535)
    """Where the local inbox takes mail."""
    hubspot: bool = False
    """Whether there is a HubSpot account to play with. Its token and client secret are made in `secrets`."""

    @model_validator(mode="after")
    def _stays_here(self) -> Self:
        if not _is_this_machine(self.host):
            raise ValueError(f"sandbox.host is {self.host!r}: it asks nobody for a key, so keep the host 127.0.0.1")
        return self


class Settings(BaseSettings):
    """Everything that can be set. `[event_log]` and its like name an adapter, and hold a table for each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=_DEEPER, toml_file=FILE, extra="forbid", frozen=True
    )

    data: Path = Path("obverse-data")
    """Folder of the embedded PostgreSQL, secrets and definitions."""
    definitions: Path | None = None
    """Folder of definitions; `definitions` in the data folder, if not set."""
    project: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    """Label of what `obverse apply` writes: no other project's `--prune` removes it."""
    workspace: str = Field(default="main", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    database_url: SecretStr | None = Field(default=None, validation_alias=_DATABASE)
    """Another PostgreSQL (15 or later) instead of the embedded one."""
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")
    """Where Redis is, for a cache in it whose own table does not say so."""
    query_database_url: SecretStr | None = None
    """The same, with a login that may only read, for SQL that people have written; `database_url`, if not set."""
    partitions: int = Field(default=1, ge=1, le=1024)
    """Of the stream of events. Fixed when the first event is written."""
    least_free_mb: int = Field(default=512, ge=0)
    """MiB of the embedded PostgreSQL's disk that must stay free: below, events are refused until there is more."""
    log_days: int | None = Field(default=None, ge=1)
    """Days that the log is kept; for ever, if not set. History is needed to take decisions of identity anew."""
    routed_hours: int = Field(default=24, ge=1, le=8784)
    """
    Hours that what was routed to an engine of its own is kept. An engine can go on from no checkpoint that is older.
    """
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    collector: Collector = Collector()
    api: Api = Api()
    worker: Worker = Worker()
    load: Load = Load()
    sandbox: Sandbox = Sandbox()
    archive: Archive = Archive()
    event_log: dict[str, Any] = {"adapter": "postgres"}
    log_places: dict[str, Any] = {"adapter": "postgres"}
    profile_store: dict[str, Any] = {"adapter": "postgres"}
    profile_cache: dict[str, Any] = {"adapter": "local"}
    engine: dict[str, Any] = {"adapter": "embedded"}
    sync_queue: dict[str, Any] = {"adapter": "postgres"}
    outbox: dict[str, Any] = {"adapter": "postgres"}
    sessions: dict[str, Any] = {"adapter": "postgres"}
    email_service: dict[str, Any] = {"adapter": "local_inbox"}
    proposals: dict[str, Any] = {"adapter": "postgres"}
    matcher: dict[str, Any] = {"adapter": "splink"}
    definition_store: dict[str, Any] = {"adapter": "postgres"}
    trait_runs: dict[str, Any] = {"adapter": "postgres"}
    replays: dict[str, Any] = {"adapter": "postgres"}
    sql_runner: dict[str, Any] = {"adapter": "postgres"}

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - its signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        if isinstance(env_settings, EnvSettingsSource):
            told = env_settings.env_vars.items()
            env_settings.env_vars = {name: value for name, value in told if _secret_in_file(name) is None}
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("database_url", "query_database_url", mode="after")
    @classmethod
    def _names_a_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        # An empty one is none, as with the key below. What was written is not repeated: it may hold a password.
        if url and not url.get_secret_value().startswith(_POSTGRESQL):
            raise ValueError("it is no URL of a PostgreSQL: write postgresql://USER:PASSWORD@HOST:5432/DATABASE")
        return url

    @model_validator(mode="after")
    def _reads_are_guarded(self) -> Self:
        # An empty key is none: it is what a variable that was never filled in leaves behind.
        if not self.api.key and not _is_this_machine(self.api.host):
            raise ValueError(
                f"api.host is {self.api.host!r}, which others can reach: set api.key (OBVERSE_API__KEY), "
                "or keep the host 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _a_share_is_of_what_there_is(self) -> Self:
        share = self.collector.partitions
        if share is not None and share > self.partitions:
            raise ValueError(
                f"collector.partitions is {share}, but the log has partitions = {self.partitions}: set at most "
                f"{self.partitions}, or leave it out, and one collector takes all"
            )
        return self

    @property
    def definitions_folder(self) -> Path:
        """Where definitions are."""
        return self.definitions or self.data / "definitions"

    def port_options(self, port: str, adapter: str | None = None) -> tuple[str, dict[str, Any]]:
        """An adapter, else the one that the port's table names, and that adapter's own table."""
        found = getattr(self, port)
        table: dict[str, Any] = found.model_dump() if isinstance(found, BaseModel) else found
        named = adapter or table.get("adapter") or type(self).model_fields[port].default["adapter"]
        return str(named), dict(table.get(named, {}))


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """
    Read `obverse.toml` in the working folder and the environment (which wins).

    Raises:
        BadSettings: names each setting that cannot be used, where it was set, and what to write.
    """
    seen = os.environ if environment is None else environment
    _check_names(seen)
    secrets = _secrets_in_files(seen)
    try:
        return Settings(**secrets)
    except ValidationError as error:
        lines = "; ".join(
            _told(flaw["type"], [str(part) for part in flaw["loc"]], flaw["msg"]) for flaw in error.errors()
        )
        raise BadSettings(f"{lines} (set in the environment or in {FILE})") from error
    except SettingsError as error:
        raise BadSettings(
            f"the environment cannot be read: {error}; give each setting a variable, such as OBVERSE_COLLECTOR__PORT"
        ) from error
    except ValueError as error:
        raise BadSettings(f"{FILE} cannot be read: {error}") from error


def _secret_in_file(name: str) -> str | None:
    """The variable whose secret is in the file that this one names; None if this one is of another kind."""
    secret = name.upper().removesuffix(_IN_FILE)
    return secret if name.upper().endswith(_IN_FILE) and _SECRET.fullmatch(secret) else None


def _secrets_in_files(environment: Mapping[str, str]) -> dict[str, Any]:
    """What stands in the files that the environment names, as settings."""
    settings: dict[str, Any] = {}
    for name, path in environment.items():
        secret = _secret_in_file(name)
        if secret is None:
            continue
        if environment.get(secret):
            raise BadSettings(f"both {secret} and {name} are set: remove one of them")
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise BadSettings(f"{name} is {path!r}, which cannot be read ({error}): put the secret there") from error
        if not text:
            raise BadSettings(f"{name} is {path!r}, which is empty: put the secret there")
        *tables, last = [secret] if secret == _DATABASE else secret.removeprefix(PREFIX).lower().split(_DEEPER)
        table = settings
        for one in tables:
            table = table.setdefault(one, {})
        table[last] = text
    return settings


def _told(kind: str, place: list[str], message: str) -> str:
    """One flaw in words: which setting, and what to write."""
    name = ".".join(place)
    if kind == "extra_forbidden":
        table: Any = Settings
        for part in place[:-1]:
            table = table.model_fields[part].annotation
        return f"{name} is no setting{_hint(place[-1], table.model_fields)}"
    message = message.removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _check_names(environment: Mapping[str, str]) -> None:
    aliases = {(PREFIX + name).upper(): field.validation_alias for name, field in Settings.model_fields.items()}
    known = {name for name, alias in aliases.items() if alias is None} | _ROLE_VARIABLES
    for name in environment:
        if not name.upper().startswith(PREFIX):
            continue
        first = (_secret_in_file(name) or name.upper()).split(_DEEPER)[0]
        if first not in known:
            hint = f"; did you mean {aliases[first]}?" if first in aliases else _hint(first, known)
            raise BadSettings(f"the environment variable {name} is no setting{hint}")
