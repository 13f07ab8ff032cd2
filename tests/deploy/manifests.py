"""The files of deploy/kubernetes/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
PATCHES = {"metrics/configmap.yaml", "metrics/deployment.yaml"}
"""They are complete only together with the file that they change."""


def _read() -> Iterator[tuple[str, Json]]:
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        (document,) = yaml.safe_load_all(path.read_text("utf-8"))
        yield str(path.relative_to(KUBERNETES)), document


FILES = dict(_read())
RESOURCES = {
    name: document
    for name, document in FILES.items()
    if name not in PATCHES and not name.endswith("kustomization.yaml")
}
DEPLOYMENT, JOB = FILES["deployment.yaml"], FILES["migration.yaml"]
PODS = [workload["spec"]["template"] for workload in (DEPLOYMENT, JOB)]
SERVER = DEPLOYMENT["spec"]["template"]["spec"]["containers"][0]
SETTINGS: dict[str, str] = (
    FILES["configmap.yaml"]["data"]
    | FILES["metrics/configmap.yaml"]["data"]
    | FILES["secret.example.yaml"]["stringData"]
)


def ports() -> dict[str, int]:
    """Return the server's ports by name, with that of the component `metrics`."""
    patch = FILES["metrics/deployment.yaml"]["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each["containerPort"] for each in (*SERVER["ports"], *patch["ports"])}


def selects(selector: Json, thing: Json) -> bool:
    """Tell whether the labels of an object or of a pod template match all of a selector."""
    return bool(selector.items() <= thing["metadata"]["labels"].items())
