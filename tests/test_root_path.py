"""Behind a proxy that publishes the API below a path, every reference leads back to the API."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
import yaml

from tests.contract import TEXT
from tests.proxies import proxy
from tests.servers import Server, sign, start_mock, start_server

pytestmark = pytest.mark.process

ROOT_PATH = "/tenants/api"


@pytest.fixture(scope="module")
def below_path(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("data")
    with start_server(database_url, folder, root_path=ROOT_PATH) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["stripping", "not stripping"])
def origin(below_path: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The origin of a proxy in front of the server."""
    with proxy(below_path, ROOT_PATH, strips=request.param) as found:
        yield found


@pytest.fixture
def maria(origin: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sign(f'maria-{uuid.uuid4()}')}"}
    with httpx.Client(headers=headers, timeout=30, verify=False) as client:
        yield client


def test_location_of_each_create_operation_can_be_followed(
    origin: str, maria: httpx.Client
) -> None:
    base = f"{origin}{ROOT_PATH}"
    made = maria.post(f"{base}/conversations", json={})
    messages = f"{base}/conversations/{made.json()['id']}/messages"
    said = maria.post(messages, json={"role": "user", "content": "Hello"})
    run = maria.post(
        f"{base}/runs", json={"agent_id": "planner", "conversation_id": made.json()["id"]}
    )

    for answer in (made, said, run):
        assert answer.status_code == 201, answer.text
        followed = maria.get(urljoin(str(answer.url), answer.headers["location"]))
        assert followed.json()["id"] == answer.json()["id"]


def test_location_of_a_repeated_request_is_below_the_root_path(
    below_path: Server, origin: str, maria: httpx.Client
) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    direct = maria.post(f"{below_path.url}/conversations", json={}, headers=key)
    again = maria.post(f"{origin}{ROOT_PATH}/conversations", json={}, headers=key)

    assert direct.headers["location"] == again.headers["location"]
    assert again.headers["location"] == f"{ROOT_PATH}/conversations/{again.json()['id']}"


def test_references_of_the_docs_page_stay_below_the_root_path(
    origin: str, maria: httpx.Client
) -> None:
    page = maria.get(f"{origin}{ROOT_PATH}/docs")

    references = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    script = maria.get(urljoin(str(page.url), "docs/init.js")).text
    references += re.findall(r'url: "([^"]+)"', script)
    assert {"openapi.json", "openapi.yaml"} <= set(references)
    for reference in references:
        assert maria.get(urljoin(str(page.url), reference)).status_code == 200, reference


@pytest.mark.parametrize("end", ["", "/"])
def test_references_of_the_web_page_stay_below_the_root_path(
    end: str, origin: str, maria: httpx.Client
) -> None:
    page = maria.get(f"{origin}{ROOT_PATH}{end}")

    references = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert any("/app/main.js" in reference for reference in references)
    for reference in references:
        assert maria.get(urljoin(str(page.url), reference)).status_code == 200, reference


@pytest.mark.parametrize("document", ["openapi.json", "openapi.yaml"])
def test_server_of_the_contract_is_the_root_path(
    document: str, origin: str, maria: httpx.Client
) -> None:
    there = f"{origin}{ROOT_PATH}/{document}"
    found = yaml.safe_load(maria.get(there).text)
    (server,) = found["servers"]

    assert maria.get(urljoin(there, f"{server['url']}/conversations")).status_code == 200
    assert found | {"servers": yaml.safe_load(TEXT)["servers"]} == yaml.safe_load(TEXT)


def test_problems_behind_the_proxy_are_the_same(origin: str, maria: httpx.Client) -> None:
    for path in ("/nothing", "/conversations/", "/tenants", "/problems"):
        answer = maria.get(f"{origin}{ROOT_PATH}{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), path


def test_path_that_only_begins_like_the_root_path_is_not_found(below_path: Server) -> None:
    for path in (f"{ROOT_PATH}healthz", f"{ROOT_PATH}-2/healthz", "/tenants/healthz"):
        assert httpx.get(f"{below_path.url}{path}", verify=False).status_code == 404, path


def test_health_checks_answer_with_and_without_the_root_path(below_path: Server) -> None:
    for path in ("/readyz", f"{ROOT_PATH}/readyz"):
        assert httpx.get(f"{below_path.url}{path}", verify=False).status_code == 200, path


def test_mock_serves_its_examples_below_the_root_path(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer mock"}
    with (
        start_mock(tmp_path, root_path=ROOT_PATH) as mock,
        proxy(mock, ROOT_PATH, strips=True) as origin,
    ):
        made = httpx.post(f"{origin}{ROOT_PATH}/conversations", json={}, headers=headers)
        followed = httpx.get(urljoin(origin, made.headers["location"]), headers=headers)

    assert followed.json()["id"] == made.json()["id"]
