"""The alerts and the dashboard in deploy/ are complete, and a real Prometheus can use them."""

import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

import migrations
from db import schema
from tests.deploy.monitoring import (
    DASHBOARD,
    DEPLOY,
    PANELS,
    PROMETHEUS,
    RULES,
    query,
    start_prometheus,
)
from tests.live.following import append, following, running, word
from tests.processes import wait_until
from tests.promtool import run
from tests.servers import Server, free_port, start_server
from tests.test_readme import headings

RUNBOOK = "docs/operations/runbook.md"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_alert_has_a_severity_a_summary_and_a_runbook(rule: dict[str, Any]) -> None:
    grouping = re.search(r"by \(([\w, ]+)\)", rule["expr"])
    labels = set(grouping[1].split(", ")) - {"le"} if grouping else set()

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) >= labels
    assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{rule['alert'].lower()}"


def test_runbook_has_one_section_for_each_alert_in_the_same_order() -> None:
    text = (DEPLOY.parent / RUNBOOK).read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]

    assert [section.split("\n", 1)[0] for section in sections] == [r["alert"] for r in RULES]
    assert headings(DEPLOY.parent / RUNBOOK) >= {rule["alert"].lower() for rule in RULES}
    for rule, section in zip(RULES, sections, strict=True):
        assert re.findall(r"^- \*\*([\w ]+)\*\*", section, re.MULTILINE) == [
            "Meaning",
            "Look first",
            "Do",
        ]
        assert ("(critical)" in section) == (rule["labels"]["severity"] == "critical")


@pytest.mark.process
def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    for arguments in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        kind, name = arguments
        run("promtool", "check", kind, "--lint=all", "--lint-fatal", name, folder=PROMETHEUS)


@pytest.mark.process
def test_summaries_name_what_is_affected() -> None:
    run("promtool", "test", "rules", "alerts.test.yml", folder=Path(__file__).parent)


def test_grafana_knows_each_property_of_the_dashboard() -> None:
    """Grafana's own types, generated from its schemas, drop what they do not know."""
    register_default_plugins()

    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(DASHBOARD)))

    assert list(lost(DASHBOARD, read)) == []


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each value that is not in `after`."""
    if isinstance(before, dict):
        for key, value in before.items():
            present = isinstance(after, dict) and key in after
            yield from lost(value, after[key], f"{path}/{key}") if present else [f"{path}/{key}"]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}/{number}")
    elif before != after:
        yield path


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_panel_has_a_title_a_unit_a_description_and_the_chosen_prometheus(
    panel: dict[str, Any],
) -> None:
    known = {value for name, value in vars(units).items() if not name.startswith("_")}

    assert panel["title"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in known
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references) > 0
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert [each["datasource"] for each in (panel, *panel["targets"])] == [chosen] * (
        1 + len(references)
    )


def test_dashboard_variables_select_the_data_source_and_the_servers() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(DASHBOARD)))
    assert used == set(variables) == {"datasource", "job", "instance"}
    assert variables["datasource"]["type"] == "datasource"
    for panel in PANELS:
        for target in panel["targets"]:
            selectors = re.findall(r"\w+\{([^}]*)\}", target["expr"])
            assert all(
                'job="$job", instance=~"$instance"' in each or "AgentApi.+" in each
                for each in selectors
            )


def test_panels_are_on_the_grid_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]

    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_queries_use_only_metrics_of_the_server_and_of_prometheus() -> None:
    expressions = [target["expr"] for panel in PANELS for target in panel["targets"]]
    names = {
        name
        for expression in (*expressions, *(rule["expr"] for rule in RULES))
        for name in re.findall(r"\b(\w+)\{", expression)
    }

    assert {name for name in names if not name.startswith("agent_api_")} == {"up", "ALERTS"}


@pytest.mark.process
def test_prometheus_answers_each_query_of_the_dashboard_and_fires_an_alert(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url, metrics_port = new_database(), free_port()
    schema.upgrade(url, migrations.FOLDER)
    settings = {"metrics_port": str(metrics_port), "max_streams": "1"}
    with (
        start_server(url, tmp_path, **settings) as server,
        start_prometheus(tmp_path, f"127.0.0.1:{metrics_port}") as prometheus,
    ):
        wait_until(lambda: prometheus.values("up") == ["1"])
        queries = {
            f"{panel['title']} {target['refId']}": query(target["expr"])
            for panel in PANELS
            for target in panel["targets"]
        }

        def empty() -> list[str]:
            return [name for name, each in queries.items() if not usable(prometheus.values(each))]

        fail_once(url, server)
        deadline = time.monotonic() + 30
        while empty() and time.monotonic() < deadline:
            use(server)
        assert empty() == []

        groups = prometheus.get("rules")["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        assert health == {rule["alert"]: "ok" for rule in RULES}
        alerts = prometheus.get("alerts")["alerts"]
        (alert,) = (each for each in alerts if each["state"] == "firing")
        assert alert["labels"]["alertname"] == "AgentApiDefect"
        assert alert["annotations"]["summary"] == "create_message returned a 500"


def usable(values: list[str]) -> bool:
    return any(value != "NaN" for value in values)


def use(server: Server) -> None:
    """Cause successes, errors of clients and of the server, and an event on a stream."""
    with server.client(f"maria-{uuid.uuid4()}") as maria:
        run = running(maria)
        assert maria.get(f"/runs/{uuid.uuid4()}").status_code == 404
        with following(maria, run) as events:
            next(events)
            assert maria.get(f"/runs/{run['id']}/events/stream").status_code == 503
            append(maria, run, word("Hello"))
            next(events)


def fail_once(database_url: str, server: Server) -> None:
    """Cause a 500: the database refuses what the server considers valid."""
    constraint = "ck_short CHECK (char_length(content) < 5) NOT VALID"
    with (
        closing(psycopg2.connect(database_url)) as connection,
        connection.cursor() as cursor,
        server.client(f"maria-{uuid.uuid4()}") as maria,
    ):
        connection.autocommit = True
        conversation = maria.post("/conversations", json={}).json()["id"]
        cursor.execute(f"ALTER TABLE messages ADD CONSTRAINT {constraint}")
        answer = post_hello(maria, conversation)
        cursor.execute("ALTER TABLE messages DROP CONSTRAINT ck_short")
    assert answer.status_code == 500


def post_hello(maria: httpx.Client, conversation: str) -> httpx.Response:
    body = {"role": "user", "content": "Hello"}
    return maria.post(f"/conversations/{conversation}/messages", json=body)
