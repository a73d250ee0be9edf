"""The Helm chart: what its own tools say of it, and what every pod of it may and may not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy_schemas import NEWEST, OLDEST
from deploy_steps import DEPLOY, PINNED, TOOLS, check_tables
from obverse.adapters.spark.settings import Hosted, SparkSettings, job_words
from obverse.apps.roles import FLOWS, HOSTS, ROLES
from obverse.settings import PREFIX, read_settings

pytestmark = pytest.mark.service

CHART: Final = DEPLOY / "helm" / "obverse"
RELEASES: Final = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
OPERATED: Final = {"FlinkDeployment", "SparkApplication"}
SPARK: Final = (
    *("secrets.existingSecret=a", "kafka.servers=kafka:9092"),
    *("engine.kind=spark", "engine.checkpoints=s3a://a"),
)
Document = Mapping[str, Any]


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if not (TOOLS / "schemas").is_dir():
        assert os.environ.get("CI") != "true"
        pytest.skip("the tools are not there: make deploy-tools")


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [TOOLS / "helm", *arguments, "--kube-version", NEWEST]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def values_of(release: str) -> Path:
    return CHART / "ci" / f"{release}-values.yaml"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A file of each release's documents."""
    folder = tmp_path_factory.mktemp("chart")
    files = {}
    for release in RELEASES:
        made = helm("template", "obverse", CHART, "--namespace", "shop", "--values", values_of(release))
        assert made.returncode == 0, made.stderr
        files[release] = folder / f"{release}.yaml"
        files[release].write_text(made.stdout, encoding="utf-8")
    return files


@pytest.fixture(scope="module")
def documents(written: Mapping[str, Path]) -> Mapping[str, Sequence[Document]]:
    return {release: read(file) for release, file in written.items()}


def read(file: Path) -> Sequence[Document]:
    return [one for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]


def valid(*files: Path, kubernetes: str = NEWEST) -> subprocess.CompletedProcess[str]:
    """Ask kubeconform, of files alone: nothing is looked up elsewhere."""
    places = [
        f"{TOOLS}/schemas/{part}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
        for part in (kubernetes, "operators")
    ]
    locations = [word for place in places for word in ("-schema-location", place)]
    command: list[str | Path] = [TOOLS / "kubeconform", "-strict", *locations, *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(written: Mapping[str, Path], kubernetes: str) -> None:
    checked = valid(*written.values(), kubernetes=kubernetes)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("release", "kind", "change"),
    [
        ("minimal", "Deployment", ("readinessProbe:", "readynessProbe:")),
        ("minimal", "Deployment", ("replicas: 1", "replicas: one")),
        ("flink", "FlinkDeployment", ("flinkVersion: v2_3", "flinkVersion: v9_9")),
        ("flink", "FlinkDeployment", ("serviceAccount:", "serviceAcount:")),
        ("flink", "PodMonitor", ("podMetricsEndpoints:", "podMetricEndpoints:")),
        ("flink", "PrometheusRule", ("expr:", "expression:")),
        ("spark", "SparkApplication", ("mainApplicationFile:", "mainAplicationFile:")),
        ("spark", "SparkApplication", ("cores: 1", "cores: one")),
    ],
)
def test_a_field_that_is_none_would_be_told(
    written: Mapping[str, Path], tmp_path: Path, release: str, kind: str, change: tuple[str, str]
) -> None:
    text = written[release].read_text(encoding="utf-8")
    assert change[0] in text
    spoilt = tmp_path / "spoilt.yaml"
    spoilt.write_text(text.replace(*change), encoding="utf-8")
    checked = valid(spoilt)
    assert checked.returncode != 0
    assert f"{kind} obverse" in checked.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_helm_finds_nothing_to_say(release: str) -> None:
    linted = helm("lint", "--strict", CHART, "--values", values_of(release))
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "[WARNING]" not in linted.stdout


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ((), "secrets.existingSecret must name the Secret"),
        (("colector.replicas=1",), "additional properties 'colector' not allowed"),
        (("engine.kind=storm",), "'embedded', 'flink', 'spark'"),
        (("secrets.existingSecret=a", "engine.kind=flink"), "engine.checkpoints must say where"),
        (("secrets.existingSecret=a", "engine.kind=flink", "engine.checkpoints=s3://a"), "kafka.servers must be set"),
        (("secrets.existingSecret=a", "engine.kind=spark", "engine.checkpoints=s3a://a"), "kafka.servers must be set"),
        (("secrets.existingSecret=a", "api.ingress.enabled=true"), "api.ingress.host must be set"),
        (("secrets.existingSecret=a", "trial.enabled=true"), "trial.existingSecret must name"),
        (("secrets.existingSecret=a", "settings.database_url=postgresql://u:p@h/d"), "/settings/database_url"),
        (("secrets.existingSecret=a", "settings.partitions=0"), "/settings/partitions"),
        (("secrets.existingSecret=a", "settings.engine.spark.history=kafka"), "leave it out, or write store"),
        (
            (*SPARK, "workers.identity.settings.engine.spark.history=archive"),
            "engine.spark.history is archive: here Spark's operator stands for the role engine-spark",
        ),
        (("secrets.existingSecret=a", "collector.partitions=0"), "/collector/partitions"),
        (("secrets.existingSecret=a", "collector.partitions=9"), "must be at most settings.partitions (8)"),
        (("secrets.existingSecret=a", "kafka.servers=kafka"), "/kafka/servers"),
    ],
)
def test_what_cannot_be_is_refused(told: Sequence[str], answer: str) -> None:
    refused = helm("template", "obverse", CHART, *(word for one in told for word in ("--set", one)))
    assert refused.returncode != 0
    assert answer in refused.stderr


def test_histories_of_the_store_may_be_asked_for() -> None:
    told = (*SPARK, "settings.engine.spark.history=store")
    made = helm("template", "obverse", CHART, *(word for one in told for word in ("--set", one)))
    assert made.returncode == 0, made.stderr


def pods(documents: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """The pod templates of what Kubernetes itself runs, with the name of each."""
    for one in documents:
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield one["metadata"]["name"], one["spec"]["template"]


@pytest.mark.parametrize("release", RELEASES)
def test_no_pod_may_more_than_it_must(documents: Mapping[str, Sequence[Document]], release: str) -> None:
    for name, pod in pods(documents[release]):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert security.get("readOnlyRootFilesystem") is True or "trial" in name, name
            assert container["resources"]["limits"]["memory"], name
            tag = container["image"].rpartition(":")[2]
            assert PINNED.match(tag.removeprefix("v")), container["image"]


@pytest.mark.parametrize("release", RELEASES)
def test_the_chart_holds_no_secret(documents: Mapping[str, Sequence[Document]], release: str) -> None:
    assert "Secret" not in {one["kind"] for one in documents[release]}


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_mounted_is_there_and_what_is_read_is_mounted(
    documents: Mapping[str, Sequence[Document]], release: str
) -> None:
    for name, pod in pods(documents[release]):
        spec = pod["spec"]
        volumes = {one["name"]: one for one in spec["volumes"]} | {"data": {"emptyDir": {}}}
        for container in spec["containers"]:
            mounts = {one["mountPath"]: volumes[one["name"]] for one in container["volumeMounts"]}
            for variable in container.get("env", []):
                folder, _, file = variable["value"].rpartition("/")
                if variable["name"].endswith("_FILE"):
                    assert file in {item["path"] for item in mounts[folder]["secret"]["items"]}, (name, variable)


def settings_seen(pod: Document, documents: Sequence[Document], folder: Path) -> tuple[str, Mapping[str, str]]:
    """The `obverse.toml` and the environment of a pod of ours, its secrets in files of the test's own."""
    (container,) = pod["spec"]["containers"]
    (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == "settings"]
    (held,) = [one for one in documents if one["metadata"]["name"] == volume["configMap"]["name"]]
    (item,) = volume["configMap"]["items"]
    assert item["path"] == "obverse.toml"
    assert {"name": "settings", "mountPath": container["workingDir"], "readOnly": True} in container["volumeMounts"]
    environment = {one["name"]: one["value"] for one in container["env"]}
    for name in [one for one in environment if one.endswith("_FILE")]:
        scheme = "redis" if "REDIS" in name else "postgresql"
        (folder / name).write_text(f"{scheme}://u:p@server/0", encoding="ascii")
        environment[name] = str(folder / name)
    return held["data"][item["key"]], environment


@pytest.mark.parametrize("release", RELEASES)
def test_every_role_and_setting_is_one_that_there_is(
    documents: Mapping[str, Sequence[Document]], release: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for one in [one for one in os.environ if one.startswith(PREFIX)]:
        monkeypatch.delenv(one)
    monkeypatch.chdir(tmp_path)
    roles, flows = set(), list[str]()
    for name, pod in pods(documents[release]):
        arguments = pod["spec"]["containers"][0].get("args", [])
        if arguments[:1] != ["run"]:
            continue
        roles.add(arguments[1])
        toml, environment = settings_seen(pod, documents[release], tmp_path)
        assert tomllib.loads(toml)["workspace"], name
        (tmp_path / "obverse.toml").write_text(toml, encoding="utf-8")
        with monkeypatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            check_tables(read_settings())
        flows += arguments[3].split(",") if "--flows" in arguments else []
    # Between them workers do all that a worker does, and nothing twice.
    assert sorted(flows) == (sorted(FLOWS) if release in {"flink", "spark"} else [])
    engines = {"engine-flink"} if release == "flink" else set()
    assert roles == {"collector", "worker", "api"} | engines
    assert roles <= {*ROLES, *HOSTS}


@pytest.mark.parametrize("release", RELEASES)
def test_every_pod_has_a_policy_of_its_own(documents: Mapping[str, Sequence[Document]], release: str) -> None:
    policies = [one["spec"] for one in documents[release] if one["kind"] == "NetworkPolicy"]
    labelled = [pod["metadata"]["labels"] for _, pod in pods(documents[release])]
    for one in documents[release]:
        if one["kind"] == "FlinkDeployment":
            labelled.append(one["spec"]["podTemplate"]["metadata"]["labels"])
        if one["kind"] == "SparkApplication":
            labelled += [one["spec"]["driver"]["labels"], one["spec"]["executor"]["labels"]]
    for labels in labelled:
        for policy in policies:
            assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
        chosen = [one["podSelector"]["matchLabels"] for one in policies]
        # The one that allows nothing chooses all, and one its component alone.
        assert len([one for one in chosen if one.items() <= labels.items()]) == 2, labels


def test_only_what_goes_outward_may_go_anywhere(documents: Mapping[str, Sequence[Document]]) -> None:
    for release, anywhere in (("flink", "worker-outward"), ("spark", "worker-outward"), ("minimal", "worker-all")):
        free = {
            one["metadata"]["labels"]["app.kubernetes.io/component"]
            for one in documents[release]
            if one["kind"] == "NetworkPolicy" and {} in one["spec"].get("egress", [])
        }
        assert free == {anywhere}, release


def test_collectors_are_alike_and_each_takes_its_share(documents: Mapping[str, Sequence[Document]]) -> None:
    told = {}
    for release in ("flink", "minimal"):
        (one,) = [
            one
            for one in documents[release]
            if one["metadata"]["name"] == "obverse-collector" and one["kind"] == "Deployment"
        ]
        (container,) = one["spec"]["template"]["spec"]["containers"]
        environment = {variable["name"]: variable["value"] for variable in container["env"]}
        told[release] = (one["spec"]["replicas"], environment.get("OBVERSE_COLLECTOR__PARTITIONS"))
    # Of 32 partitions four take eight each, and the fifth stands by.
    assert told == {"flink": (5, "8"), "minimal": (1, None)}
    budgets = {one["metadata"]["name"] for one in documents["flink"] if one["kind"] == "PodDisruptionBudget"}
    assert "obverse-collector" in budgets


def test_no_budget_keeps_a_machine_from_being_drained(documents: Mapping[str, Sequence[Document]]) -> None:
    for release in RELEASES:
        replicas = {
            one["metadata"]["name"]: one["spec"].get("replicas", 2)
            for one in documents[release]
            if one["kind"] == "Deployment"
        }
        for one in documents[release]:
            if one["kind"] == "PodDisruptionBudget":
                assert one["spec"]["maxUnavailable"] == 1
                assert replicas[one["metadata"]["name"]] > 1


def test_the_schema_is_there_before_the_roles_are(documents: Mapping[str, Sequence[Document]]) -> None:
    for release in RELEASES:
        (job,) = [one for one in documents[release] if one["kind"] == "Job"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["migrate"]
        hooks = job["metadata"].get("annotations", {}).get("helm.sh/hook", "")
        # A hook that waited for a database of the release's own would wait for ever.
        assert hooks == ("" if release == "trial" else "pre-install,pre-upgrade")


def test_the_secret_of_a_trial_holds_what_its_pods_read(
    documents: Mapping[str, Sequence[Document]], tmp_path: Path
) -> None:
    script = DEPLOY / "helm" / "trial-secret.sh"
    made = subprocess.run(["sh", script, "obverse"], capture_output=True, text=True, check=True)
    file = tmp_path / "secret.yaml"
    file.write_text(made.stdout, encoding="utf-8")
    checked = valid(file)
    assert checked.returncode == 0, checked.stdout
    (secret,) = read(file)
    held = secret["stringData"]
    services = {one["metadata"]["name"] for one in documents["trial"] if one["kind"] == "Service"}
    for key, text in held.items():
        if "url" in key:
            assert text.rpartition("@")[2].partition(":")[0] in services, key
    for name, pod in pods(documents["trial"]):
        for volume in pod["spec"]["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] == secret["metadata"]["name"], name
                assert {item["key"] for item in volume["secret"].get("items", [])} <= set(held), name
    assert len(set(held.values())) == len(held)
    again = subprocess.run(["sh", script, "obverse"], capture_output=True, text=True, check=True)
    assert again.stdout != made.stdout


def test_prometheus_asks_every_pod_that_has_something_to_tell(documents: Mapping[str, Sequence[Document]]) -> None:
    told = documents["flink"]
    monitors = [one["spec"] for one in told if one["kind"] == "PodMonitor"]
    (rule,) = [one for one in told if one["kind"] == "PrometheusRule"]
    (away,) = [one for one in rule["spec"]["groups"][0]["rules"] if one["alert"] == "RoleAway"]
    jobs = re.compile(away["expr"].split('"')[1])
    asked = [pod for _, pod in pods(told)]
    asked += [one["spec"]["podTemplate"] for one in told if one["kind"] == "FlinkDeployment"]
    for pod in asked:
        labels = pod["metadata"]["labels"]
        component = labels["app.kubernetes.io/component"]
        ports = {port["name"] for port in pod["spec"]["containers"][0].get("ports", [])}
        choosing = [one for one in monitors if one["selector"]["matchLabels"].items() <= labels.items()]
        found = [one for one in choosing if one["podMetricsEndpoints"][0]["port"] in ports]
        # The migration ends, and engine-flink has no door.
        assert len(found) == (component not in {"migrate", "engine-flink"}), component
        for one in found:
            assert one["jobLabel"] == "app.kubernetes.io/component"
            assert jobs.fullmatch(component), component


def test_the_chart_has_the_rules_of_the_compose_file(documents: Mapping[str, Sequence[Document]]) -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    for release in RELEASES:
        watched = "PodMonitor" in {one["kind"] for one in documents[release]}
        found = [one["spec"] for one in documents[release] if one["kind"] == "PrometheusRule"]
        assert found == ([rules] if watched else []), release
    assert yaml.safe_load(values_of("flink").read_text(encoding="utf-8"))["podMonitor"]["enabled"]


def test_spark_is_told_what_the_role_would_tell_it(documents: Mapping[str, Sequence[Document]]) -> None:
    (held,) = [one for one in documents["spark"] if one["metadata"]["name"] == "obverse-spark" and "data" in one]
    kafka = {"servers": "kafka:9092", "security": "plaintext"}
    settings = SparkSettings(kafka=kafka, folder="s3a://bucket/obverse/spark")
    assert json.loads(held["data"]["job.json"]) == job_words(settings, Hosted())
