"""The manifests in deploy/kubernetes/ fit Kubernetes, the server and each other."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent_api import __version__
from agent_api.settings import Settings
from db.schema.readiness import READINESS_SECONDS
from tests.contract import CONTRACT
from tests.deploy.manifests import (
    DEPLOYMENT,
    FILES,
    JOB,
    KUBERNETES,
    PODS,
    RESOURCES,
    SERVER,
    SETTINGS,
    Json,
    ports,
    selects,
)
from tests.deploy.monitoring import DEPLOY, RULES
from tests.guide import blocks, section
from tests.programs import installed

OLDEST = "1.30"
"""The first version in which preStop can sleep, according to the documentation."""
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, of which kubernetes-validate has no schema."""


def check(document: Json, version: str) -> None:
    """Fail unless the published schema has each property of the document, with this type."""
    if document["kind"] not in CUSTOM:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", RESOURCES)
def test_kubernetes_knows_each_property(name: str, version: str) -> None:
    check(RESOURCES[name], version)


def test_unknown_property_is_refused() -> None:
    document = FILES["poddisruptionbudget.yaml"] | {"spec": {"maxUnavailible": 1}}

    with pytest.raises(kubernetes_validate.ValidationError, match="maxUnavailible"):
        check(document, OLDEST)


def test_files_belong_to_a_kustomization_and_to_no_namespace() -> None:
    listed = {"secret.example.yaml"}
    for name, document in FILES.items():
        if name.endswith("kustomization.yaml"):
            patches = [patch["path"] for patch in document.get("patches", ())]
            folder = Path(name).parent
            listed |= {str(folder / path) for path in (name, *document["resources"], *patches)}
            listed |= {name}
        else:
            assert "namespace" not in document["metadata"]
            assert document["metadata"]["name"].startswith("agent-api")
    assert listed >= FILES.keys()


def test_selectors_select_the_servers_and_not_the_job() -> None:
    server, job = PODS
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        FILES["service.yaml"]["spec"]["selector"],
        FILES["metrics/service.yaml"]["spec"]["selector"],
        FILES["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"],
        FILES["metrics/networkpolicy.yaml"]["spec"]["podSelector"]["matchLabels"],
        *(
            each["labelSelector"]["matchLabels"]
            for each in server["spec"]["topologySpreadConstraints"]
        ),
    ]

    for selector in selectors:
        assert selects(selector, server)
        assert not selects(selector, job)


def test_names_refer_to_objects_that_exist() -> None:
    target = FILES["horizontalpodautoscaler.yaml"]["spec"]["scaleTargetRef"]
    found = [DEPLOYMENT["apiVersion"], DEPLOYMENT["kind"], DEPLOYMENT["metadata"]["name"]]
    assert [target["apiVersion"], target["kind"], target["name"]] == found
    sources = [FILES["configmap.yaml"], FILES["secret.example.yaml"]]
    for pod in PODS:
        (container,) = pod["spec"]["containers"]
        config, secret = container["envFrom"]
        names = [config["configMapRef"]["name"], secret["secretRef"]["name"]]
        assert names == [each["metadata"]["name"] for each in sources]
    for name in ("configmap.yaml", "deployment.yaml"):
        assert FILES[f"metrics/{name}"]["metadata"]["name"] == FILES[name]["metadata"]["name"]
    failures = JOB["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]
    assert failures["containerName"] == JOB["spec"]["template"]["spec"]["containers"][0]["name"]


def test_server_accepts_the_settings_and_listens_on_the_ports() -> None:
    settings = Settings.load(SETTINGS)

    assert ports() == {"http": settings.port, "metrics": settings.metrics_port}
    assert settings.host == settings.metrics_host == "0.0.0.0"
    for name in ("service.yaml", "metrics/service.yaml"):
        assert {each["targetPort"] for each in FILES[name]["spec"]["ports"]} <= ports().keys()
    assert [port["targetPort"] for port in FILES["service.yaml"]["spec"]["ports"]] == ["http"]
    everybody, prometheus = FILES["metrics/networkpolicy.yaml"]["spec"]["ingress"]
    assert [rule["ports"] for rule in (everybody, prometheus)] == [
        [{"port": "http"}],
        [{"port": "metrics"}],
    ]
    assert "from" in prometheus


def test_prometheus_operator_finds_the_metrics_under_the_name_of_the_alerts() -> None:
    monitor, service = (
        FILES["prometheus-operator/servicemonitor.yaml"],
        FILES["metrics/service.yaml"],
    )
    (endpoint,), (port,) = monitor["spec"]["endpoints"], service["spec"]["ports"]

    assert selects(monitor["spec"]["selector"]["matchLabels"], service)
    assert not selects(monitor["spec"]["selector"]["matchLabels"], FILES["service.yaml"])
    assert endpoint["port"] == port["name"]
    job = service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    assert any(f'up{{job="{job}"}}' in rule["expr"] for rule in RULES)


def test_probes_ask_for_health_and_readiness_and_wait_long_enough() -> None:
    startup, liveness, readiness = (
        SERVER[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")
    )

    def operation(probe: Json) -> Any:
        assert probe["httpGet"]["port"] == "http"
        return CONTRACT["paths"][probe["httpGet"]["path"]]["get"]["operationId"]

    # A database that is away must not restart the server.
    assert [operation(startup), operation(liveness)] == ["get_health"] * 2
    assert operation(readiness) == "get_readiness"
    assert readiness["timeoutSeconds"] > 2 * READINESS_SECONDS
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60


def test_pod_has_time_to_leave_the_service_and_to_finish_requests() -> None:
    stop = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = Settings.load(SETTINGS).grace_seconds

    assert stop >= 10  # proxies outside the cluster need longer than kube-proxy
    # docs/operations/production.md: ten seconds more than the grace time
    assert DEPLOYMENT["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= (
        stop + grace + 10
    )


def test_all_connections_fit_a_postgresql_with_default_settings() -> None:
    settings = Settings.load(SETTINGS)
    scaling, strategy = (
        FILES["horizontalpodautoscaler.yaml"]["spec"],
        DEPLOYMENT["spec"]["strategy"],
    )

    assert "replicas" not in DEPLOYMENT["spec"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert scaling["minReplicas"] >= 2  # one pod may be evicted
    # docs/operations/production.md#sizes, with old and new servers at once
    servers = 2 * scaling["maxReplicas"]
    assert servers * settings.workers * settings.pool_size + 10 <= 100


def test_images_and_the_name_of_the_job_have_this_version() -> None:
    images = {container["image"] for pod in PODS for container in pod["spec"]["containers"]}

    assert images == {f"agent-api:{CONTRACT['info']['version']}"}
    assert JOB["metadata"]["name"] == f"agent-api-migrate-{__version__.replace('.', '-')}"


@pytest.mark.parametrize("pod", PODS, ids=["server", "migration"])
def test_pod_has_no_rights_that_it_does_not_need(pod: Json) -> None:
    spec = pod["spec"]
    (container,) = spec["containers"]

    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (spec["enableServiceLinks"], spec["automountServiceAccountToken"]) == (False, False)
    assert {each["mountPath"] for each in container["volumeMounts"]} == {"/tmp"}
    assert [(each["name"], *each) for each in spec["volumes"]] == [("tmp", "name", "emptyDir")]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}


@pytest.mark.process
@pytest.mark.parametrize("components", [[], ["metrics"], ["metrics", "prometheus-operator"]])
def test_kubectl_renders_the_guide_with_each_component(
    components: list[str], tmp_path: Path
) -> None:
    # Debian's is too old for components.
    kubectl = installed("kubectl", "see https://kubernetes.io/docs/tasks/tools")
    shutil.copytree(DEPLOY, tmp_path / "agent-api" / "deploy")
    (example,) = blocks("yaml", re.sub("^ {3}", "", section("Install"), flags=re.MULTILINE))
    mine = yaml.safe_load(example)
    (base,) = mine["resources"]
    mine["components"] = [f"{base}/{component}" for component in components]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(mine))

    rendered = subprocess.run(
        [kubectl, "kustomize", "mine"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert rendered.returncode == 0, rendered.stderr
    documents = list(yaml.safe_load_all(rendered.stdout))
    expected = {name for name in RESOURCES if "/" not in name or name.split("/")[0] in components}
    assert len(documents) == len(expected - {"secret.example.yaml"})
    for document in documents:
        check(document, OLDEST)
        assert document["metadata"]["namespace"] == mine["namespace"]
    found = {document["kind"]: document for document in documents}
    (server,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert server["image"] == f"registry.example.org/agent-api:{__version__}"
    assert [port["name"] for port in server["ports"]] == (
        ["metrics", "http"] if components else ["http"]
    )
    secret = FILES["secret.example.yaml"]["stringData"]
    settings = Settings.load(found["ConfigMap"]["data"] | secret)
    assert settings.jwt_issuer == "https://login.example.org/realms/chat"
    assert settings.metrics_port == (9464 if components else None)


@pytest.mark.process
def test_command_of_the_guide_wraps_the_alerts_for_the_operator(tmp_path: Path) -> None:
    (tmp_path / "agent-api").symlink_to(KUBERNETES.parents[1])
    (tmp_path / "mine").mkdir()
    command, _, apply = blocks("sh", section("Metrics on Kubernetes"))[0].partition(" | kubectl ")

    output = subprocess.check_output(["sh", "-c", command], cwd=tmp_path / "mine", text=True)

    rule = yaml.safe_load(output)
    assert apply.startswith("apply")
    assert (rule["kind"], rule["metadata"]) == ("PrometheusRule", {"name": "agent-api"})
    assert rule["spec"]["groups"][0]["rules"] == RULES
