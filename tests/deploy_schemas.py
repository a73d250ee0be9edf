"""
Gather the JSON Schemas that `kubeconform` holds the chart's documents against, from packages that carry them.

    deploy_schemas.py PACKAGES JARS OUT

`PACKAGES` is a folder with `kubernetes_validate` and `kubeflow_spark_api`, `JARS` one with the API of Flink's operator.
`OUT` then has a folder for each release of Kubernetes, and `operators`, one file a kind: `KIND-GROUP-VERSION.json`.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import yaml

OLDEST: Final = "v1.29.0"
"""As `kubeVersion` of the chart says."""
NEWEST: Final = "v1.37.0"
FLINK: Final = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
NEWER_FLINKS: Final = ("v2_0", "v2_1", "v2_2", "v2_3")
"""Of the releases of Flink that operators after the one whose API is published can run."""

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
POD_MONITOR: Final = {
    # No package carries its schema. This is the part of it that the chart uses.
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PodMonitor"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "required": ["selector", "podMetricsEndpoints"],
            "properties": {
                "jobLabel": _TEXT,
                "selector": {"type": "object", "properties": {"matchLabels": _TEXTS}},
                "podMetricsEndpoints": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"port": _TEXT, "path": _TEXT, "interval": _TEXT}},
                },
            },
        },
    },
}
PROMETHEUS_RULE: Final = {
    # As above.
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PrometheusRule"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "required": ["groups"],
            "properties": {
                "groups": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["name", "rules"],
                        "properties": {
                            "name": _TEXT,
                            "rules": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "object",
                                    "required": ["alert", "expr"],
                                    "properties": {
                                        "alert": _TEXT,
                                        "expr": _TEXT,
                                        "for": {"type": "string", "pattern": "^\\d+[smhd]$"},
                                        "labels": _TEXTS,
                                        "annotations": _TEXTS,
                                    },
                                },
                            },
                        },
                    },
                }
            },
        },
    },
}


def closed(schema: Any) -> Any:
    """The same schema, in which an object has no field that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(one) for name, one in schema.items()}
    opened = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    # `properties` may be the name of a field, too; only where it is none does a type stand beside it.
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict) and not opened:
        inner["additionalProperties"] = False
    return inner


def flink_deployment(jars: Path) -> Any:
    """The schema of a FlinkDeployment, out of its custom resource definition."""
    (jar,) = jars.glob("flink-kubernetes-operator-api-*.jar")
    with zipfile.ZipFile(jar) as archive:
        definition = yaml.safe_load(archive.read(FLINK))
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1beta1"]
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": _TEXT, "kind": _TEXT, "metadata": {"type": "object"}}
    schema["properties"]["spec"]["properties"]["flinkVersion"]["enum"] += NEWER_FLINKS
    return schema


def spark_application(packages: Path) -> Any:
    """The schema of a SparkApplication, out of its model."""
    sys.path.insert(0, str(packages))
    from kubeflow_spark_api.models import SparkV1beta2SparkApplication  # type: ignore[import-not-found]  # noqa: PLC0415 - it is in a folder of its own

    return closed(SparkV1beta2SparkApplication.model_json_schema(by_alias=True))


def main(packages: Path, jars: Path, out: Path) -> None:
    """Write them all."""
    shutil.rmtree(out, ignore_errors=True)
    operators = out / "operators"
    operators.mkdir(parents=True)
    for release in (OLDEST, NEWEST):
        (out / release).mkdir()
        for path in (packages / "kubernetes_validate" / "kubernetes-json-schema" / f"{release}-local-strict").iterdir():
            # There they refer to each other by an address of the web; here, to the file beside them.
            text = path.read_text(encoding="utf-8").replace('"/api/_definitions.json#', '"_definitions.json#')
            schema = json.loads(text)
            schema.pop("$id", None)
            (out / release / path.name).write_text(json.dumps(schema), encoding="utf-8")
    for name, schema in (
        ("flinkdeployment-flink-v1beta1", flink_deployment(jars)),
        ("sparkapplication-sparkoperator-v1beta2", spark_application(packages)),
        ("podmonitor-monitoring-v1", closed(POD_MONITOR)),
        ("prometheusrule-monitoring-v1", closed(PROMETHEUS_RULE)),
    ):
        (operators / f"{name}.json").write_text(json.dumps(schema), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
