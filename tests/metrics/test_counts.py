"""What Prometheus reads about requests, waiting times and database errors."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg2
import pytest

from tests.contract import NOWHERE, OPERATIONS
from tests.processes import wait_until
from tests.scraping import scrape, scrape_idle, value
from tests.servers import Server

pytestmark = pytest.mark.process


@pytest.mark.smoke
def test_requests_are_counted_by_operation_method_and_status(
    watched: Server, metrics_port: int
) -> None:
    name = "agent_api_http_requests_total"
    before = scrape_idle(metrics_port)

    with watched.client(f"maria-{uuid.uuid4()}") as maria:
        for _ in range(3):
            assert maria.post("/conversations", json={}).status_code == 201
        assert maria.get(f"/conversations/{NOWHERE}").status_code == 404
        assert maria.post("/conversations", json={"title": 1}).status_code == 422

    after = scrape_idle(metrics_port)

    def rise(**labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert rise(operation="create_conversation", method="POST", status="201") == 3
    assert rise(operation="get_conversation", method="GET", status="404") == 1
    assert rise(operation="create_conversation", method="POST", status="422") == 1
    counted = "agent_api_http_request_duration_seconds_count"
    assert value(after, counted, operation="create_conversation") == value(
        after, name, operation="create_conversation"
    )


def test_labels_are_limited_to_operations_and_known_methods(
    watched: Server, metrics_port: int
) -> None:
    with httpx.Client(base_url=watched.url, verify=False) as stranger:
        for number in range(20):
            stranger.get(f"/nowhere/{number}")
            stranger.request("PROPFIND", f"/{number}")
        for method in ("TRACE", "REPORT", "PROPFIND", "BREW"):
            stranger.request(method, "/conversations")

    labels = [dict(has) for name, has in scrape(metrics_port) if "_http_" in name]
    operations = {operation.operation_id for operation in OPERATIONS} | {"other"}
    methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    assert {found["operation"] for found in labels if "operation" in found} <= operations
    assert {found["method"] for found in labels if "method" in found} <= methods


def test_pool_use_and_waiting_times_are_measured(
    watched: Server, metrics_port: int, database_url: str
) -> None:
    in_progress = "agent_api_http_requests_in_progress"
    with watched.client(f"maria-{uuid.uuid4()}") as maria, ThreadPoolExecutor(2) as threads:
        conversation = maria.post("/conversations", json={}).json()["id"]
        path = f"/conversations/{conversation}"
        idle = scrape_idle(metrics_port)
        with psycopg2.connect(database_url) as other, other.cursor() as cursor:
            cursor.execute("UPDATE conversations SET title = title WHERE id = %s", [conversation])
            asked = [threads.submit(maria.patch, path, json={"title": "x"}) for _ in range(2)]
            wait_until(lambda: value(scrape(metrics_port), in_progress) == 2)
            time.sleep(0.2)
            busy = scrape(metrics_port)
        assert [answer.result().status_code for answer in asked] == [200, 200]
    after = scrape_idle(metrics_port)

    def rise(name: str) -> float:
        return value(after, name) - value(idle, name)

    assert value(idle, "agent_api_db_pool_size") == 1
    assert value(idle, "agent_api_db_pool_in_use") == 0
    assert value(idle, in_progress) == 0
    assert value(busy, "agent_api_db_pool_in_use") == 1
    assert value(busy, in_progress) == 2
    assert value(after, "agent_api_db_pool_in_use") == 0
    assert value(after, in_progress) == 0
    assert rise("agent_api_db_pool_wait_seconds_count") >= 2  # a sweep may have waited, too
    assert rise("agent_api_db_pool_wait_seconds_sum") > 0.1
    assert value(after, "agent_api_workers") == 1


def test_database_errors_are_counted_by_kind(
    watched: Server, metrics_port: int, database_url: str
) -> None:
    with watched.client(f"maria-{uuid.uuid4()}") as maria:
        conversation = maria.post("/conversations", json={}).json()["id"]
        before = scrape_idle(metrics_port)
        with psycopg2.connect(database_url) as other, other.cursor() as cursor:
            cursor.execute("UPDATE conversations SET title = title WHERE id = %s", [conversation])
            late = maria.patch(f"/conversations/{conversation}", json={"title": "x"})
    after = scrape_idle(metrics_port)

    assert late.status_code == 504
    kinds = ("busy", "unavailable", "timeout", "too_large", "unexpected")
    name = "agent_api_db_errors_total"
    assert {dict(has)["kind"] for found, has in before if found == name} == set(kinds)
    rises = [value(after, name, kind=kind) - value(before, name, kind=kind) for kind in kinds]
    assert rises == [0, 0, 1, 0, 0]
