"""What /metrics on its own port answers, and what it never shows."""

import uuid

import httpx
import pytest

from tests.servers import Server

pytestmark = pytest.mark.process


def test_metrics_port_serves_only_metrics_and_names_no_software(
    watched: Server, metrics_port: int
) -> None:
    base = f"http://127.0.0.1:{metrics_port}"

    metrics, elsewhere = (httpx.get(f"{base}{path}", verify=False) for path in ("/metrics", "/"))
    posted = httpx.post(f"{base}/metrics", verify=False)
    here = httpx.get(f"{watched.url}/metrics", verify=False)

    assert metrics.headers["content-type"].startswith("text/plain")
    assert [elsewhere.status_code, posted.status_code, here.status_code] == [404, 405, 404]
    assert posted.headers["allow"] == "GET, HEAD"
    for answer in (metrics, elsewhere, posted):
        assert answer.headers["server"] == "agent-api"
        assert "Python" not in answer.text


def test_metrics_port_allows_only_get_and_head(watched: Server, metrics_port: int) -> None:
    url = f"http://127.0.0.1:{metrics_port}/metrics"

    head = httpx.head(url, verify=False)
    others = [httpx.request(name, url, verify=False) for name in ("PUT", "DELETE", "OPTIONS", "X")]
    nothing = httpx.head(f"{url}/more", verify=False)

    assert (head.status_code, head.content, nothing.status_code) == (200, b"", 404)
    assert head.headers["content-type"].startswith("text/plain")
    assert int(head.headers["content-length"]) > 1000
    for other in others:
        assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD")


def test_metrics_contain_no_user_id_or_title(watched: Server, metrics_port: int) -> None:
    user = f"maria-{uuid.uuid4()}"
    with watched.client(user) as maria:
        conversation = maria.post("/conversations", json={"title": "A secret title"}).json()["id"]
        maria.get(f"/conversations/{conversation}")

    text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics", verify=False).text

    for secret in (user, conversation, "secret title"):
        assert secret not in text
