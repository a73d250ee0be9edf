"""`deploy/compose.yaml`: its schema, what it runs, what it sets, and what it leaves to nobody's mercy."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import msgspec
import pytest
import yaml

from deploy_steps import DEPLOY, PINNED, ROOT, check_tables, put_in, read_compose, texts, variables
from obverse.apps.roles import FLOWS, HOSTS, ROLES
from obverse.settings import PREFIX, Settings, read_settings

SCHEMA: Final = ROOT / "tests" / "data" / "compose_spec" / "compose-spec.json"
COMPOSE: Final = read_compose()
SERVICES: Final[Mapping[str, dict[str, Any]]] = COMPOSE["services"]
SECRET: Final = re.compile(r"password|secret|token|key|url", re.IGNORECASE)


def ours() -> Iterable[tuple[str, dict[str, Any]]]:
    return [(name, one) for name, one in SERVICES.items() if one["image"].startswith("${OBVERSE_")]


def flaws(document: Mapping[str, Any]) -> list[str]:
    schema = jsonschema_rs.validator_for(msgspec.json.decode(SCHEMA.read_bytes()))
    return [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in schema.iter_errors(document)]


def test_it_is_what_the_published_schema_asks_for() -> None:
    assert flaws(COMPOSE) == []


def test_the_schema_would_tell() -> None:
    assert flaws({"services": {"a": {"imge": "b"}}})


def command_of(service: Mapping[str, Any]) -> list[str]:
    """What `obverse` is told in a container: its image begins with the command, unless the service says so."""
    command: list[str] = service.get("command", [])
    return command[1:] if command[:1] == ["obverse"] else command


def test_each_role_is_one_that_there_is() -> None:
    commands = [command_of(one) for _, one in ours()]
    roles = {one[1] for one in commands if one[:1] == ["run"]}
    # The folder of Spark's adapter has its role; both hosts are run alike.
    assert roles - {"engine-spark"} <= {*ROLES, *HOSTS}
    assert roles == {"collector", "worker", "api", "engine-flink", "engine-spark"}
    assert [one for one in commands if one[:1] == ["migrate"]] == [["migrate"]]
    # Between them workers do all that a worker does, and nothing twice.
    flows = [flow for one in commands if one[:2] == ["run", "worker"] for flow in one[3].split(",")]
    assert sorted(flows) == sorted(FLOWS)


def environment_of(service: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """What the service's process sees, its secrets in files of the test's own."""
    environment = {}
    for name, value in service.get("environment", {}).items():
        text = put_in(str(value))
        if text.startswith("/run/secrets/"):
            path = folder / Path(text).name
            scheme = "redis" if "redis" in path.name else "postgresql"
            path.write_text(f"{scheme}://u:p@server/0", encoding="ascii")
            text = str(path)
        environment[name] = text
    return environment


@pytest.mark.parametrize("name", [name for name, _ in ours()])
def test_each_setting_is_one_that_there_is(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for one in [one for one in os.environ if one.startswith(PREFIX)]:
        monkeypatch.delenv(one)
    monkeypatch.chdir(tmp_path)
    for variable, value in environment_of(SERVICES[name], tmp_path).items():
        monkeypatch.setenv(variable, value)
    check_tables(read_settings())


def test_no_variable_is_misspelt() -> None:
    # Settings say nothing of a table of theirs that no adapter reads.
    known = set(Settings.model_fields)
    for name, service in ours():
        for variable in service.get("environment", {}):
            if variable.startswith(PREFIX):
                table = variable.removeprefix(PREFIX).lower().split("__")[0].removesuffix("_file")
                assert table in known, (name, variable)


def test_what_is_mounted_and_built_from_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (DEPLOY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
            assert there, (name, volume)
    assert {Path(one["build"]["dockerfile"]).parent for _, one in ours()} == {Path("deploy")}
    assert set(COMPOSE["volumes"]) == {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }


def test_no_secret_has_a_default() -> None:
    for place, text in texts(COMPOSE):
        for name, how, rest in variables(text):
            if SECRET.search(name) and not name.endswith("PUBLIC_URL"):
                assert how == ":?" or (how == ":-" and rest == ""), f"{place}: {name} would be {rest!r}"
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|_URL$|__URL|KEY", variable) and not variable.endswith("PUBLIC_URL"):
                text = put_in(str(value))
                assert text.startswith("/run/secrets/") or text == "", (name, variable)


def test_what_has_to_be_made_first_says_how() -> None:
    needed = [rest for _, text in texts(COMPOSE) for _, how, rest in variables(text) if how == ":?"]
    assert needed
    assert all("deploy/new-secrets.sh" in one for one in needed)


def test_each_service_sees_the_secrets_that_it_names_and_no_others() -> None:
    assert {secret for one in SERVICES.values() for secret in one.get("secrets", [])} == set(COMPOSE["secrets"])
    for name, service in SERVICES.items():
        if name == "postgres":
            continue  # it makes the logins, so it is told all of them
        told = yaml.safe_dump([service.get(part) for part in ("environment", "command", "healthcheck")])
        assert set(re.findall(r"/run/secrets/([a-z-]+)", told)) == set(service.get("secrets", [])), name


def test_the_script_makes_what_the_file_asks_for() -> None:
    script = (DEPLOY / "new-secrets.sh").read_text(encoding="utf-8")
    made = set(re.findall(r"add ([A-Z_]+)", script))
    logins = re.search(r"for login in ([a-z ]+);", script)
    assert logins is not None
    made |= {f"DATABASE_URL_{one.upper()}" for one in logins[1].split()}
    assert {one["environment"] for one in COMPOSE["secrets"].values()} <= made


def test_nothing_is_published_but_the_doors_on_this_machine() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert set(published) == {"collector", "api", "prometheus"}
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)


def test_only_who_must_reaches_beyond_this_machine() -> None:
    open_networks = {name for name, one in COMPOSE["networks"].items() if not one.get("internal")}
    beyond = {name for name, one in SERVICES.items() if open_networks & set(one["networks"])}
    assert beyond == {"collector", "api", "prometheus", "worker-outward"}
    assert {name for name, one in SERVICES.items() if "database" in one["networks"]} == {
        *("postgres", "migrate", "collector", "api"),
        *(name for name in SERVICES if name.startswith("worker-")),
    }


def test_every_image_has_a_version() -> None:
    for name, service in SERVICES.items():
        tag = put_in(service["image"]).rpartition(":")[2]
        assert PINNED.match(tag.removeprefix("v")), (name, service["image"])


def test_images_are_of_this_release() -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {put_in(one["image"]).rpartition(":")[2] for _, one in ours()} == {release}
    chart = yaml.safe_load((DEPLOY / "helm" / "obverse" / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (release, release)


def test_everything_is_hardened_and_comes_back() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert "healthcheck" in service or name == "migrate", name


def test_whoever_waits_for_health_waits_for_somebody_who_tells_it() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[other]["healthcheck"], (name, other)


def test_every_metric_of_a_rule_is_one_that_is_told_of() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    told = set(re.findall(r"obverse_\w+", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
    for rule in rules["groups"][0]["rules"]:
        for metric in re.findall(r"obverse_\w+", rule["expr"]):
            assert {metric, metric.removesuffix("_bucket")} & told, rule["alert"]


def test_prometheus_asks_services_that_there_are() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    for job in config["scrape_configs"]:
        for looked_up in job["dns_sd_configs"]:
            for name in looked_up["names"]:
                assert "watch" in SERVICES[name]["networks"], name
