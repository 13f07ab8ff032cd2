"""Public links on servers of their own: the limit for addresses, addresses of links, the log."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.calls import create, new_conversation
from tests.contract import assert_problem
from tests.publishing.publishing import links_of, publish, shown
from tests.scraping import scrape_idle
from tests.servers import Server, free_port, start_server
from tests.test_request_log import line_of

pytestmark = pytest.mark.process

LIMIT = 5


@pytest.fixture(scope="module")
def limited(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows few requests per address, and trusts proxies on this machine."""
    settings = {
        "link_rate_limit_per_minute": str(LIMIT),
        "trusted_proxies": "127.0.0.0/8",
        "rate_limit_per_minute": "100",
    }
    folder = tmp_path_factory.mktemp("limited")
    with start_server(database_url, folder, **settings) as server:
        yield server


@contextmanager
def from_address(server: Server, address: str) -> Iterator[httpx.Client]:
    """Yield a client without a token whose requests a trusted proxy passes on."""
    headers = {"X-Forwarded-For": address}
    with httpx.Client(base_url=server.url, headers=headers, verify=False) as client:
        yield client


def statuses(client: httpx.Client, count: int, path: str = "/shared/wrong") -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def test_each_address_has_its_own_limit(limited: Server) -> None:
    with limited.client(f"maria-{uuid.uuid4()}") as maria:
        path = f"/shared/{publish(maria, new_conversation(maria))['secret']}"
    with from_address(limited, "198.51.100.1") as one, from_address(limited, "198.51.100.2") as two:
        assert statuses(one, 2) + statuses(one, LIMIT - 2, path) == [404] * 2 + [200] * 3
        refused = one.get(path)
        assert assert_problem(refused, 429)["type"] == "/problems/too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-policy"] == f'"address";q={LIMIT};w=60'
        assert one.head(path).status_code == 429
        assert two.get(path).status_code == 200
        assert two.get(path).headers["ratelimit"].startswith('"address";r=')


def test_addresses_of_a_network_of_ipv6_share_a_limit(limited: Server) -> None:
    prefix = "2001:db8:1:2"
    for number in range(LIMIT):
        with from_address(limited, f"{prefix}::{number}") as client:
            assert statuses(client, 1) == [404]
    with from_address(limited, f"{prefix}:ffff::1") as client:
        assert statuses(client, 1) == [429]
    with from_address(limited, "2001:db8:1:3::1") as client:
        assert statuses(client, 1) == [404]


def remaining(answer: httpx.Response) -> int:
    """Return the requests that are left, of a header like `"user";r=97;t=1`."""
    return int(answer.headers["ratelimit"].split(";")[1].removeprefix("r="))


def test_limits_of_users_and_addresses_are_separate(limited: Server) -> None:
    with limited.client(f"maria-{uuid.uuid4()}") as maria:
        maria.headers["X-Forwarded-For"] = "198.51.100.3"
        link = publish(maria, new_conversation(maria))
        before = remaining(maria.get("/users/me/chat-settings"))
        assert statuses(maria, LIMIT, f"/shared/{link['secret']}") == [200] * LIMIT

        assert maria.get(f"/shared/{link['secret']}").status_code == 429
        answer = maria.get("/users/me/chat-settings")
        assert answer.status_code == 200
        assert remaining(answer) >= before - 1  # more if the bucket was filled meanwhile
    with from_address(limited, "198.51.100.3") as client:
        assert statuses(client, 3, "/healthz") == [200] * 3


def test_user_named_like_an_address_has_another_bucket(limited: Server) -> None:
    with from_address(limited, "198.51.100.4") as client:
        assert statuses(client, LIMIT + 1)[-1] == 429
    with limited.client("198.51.100.4") as user:
        assert user.get("/users/me/chat-settings").status_code == 200


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({"link_url": "https://chat.example.org/s/"}, "https://chat.example.org/s/"),
        ({"link_url": "https://chat.example.org/#share="}, "https://chat.example.org/#share="),
        ({"root_path": "/api"}, "/api/shared/"),
        ({"root_path": "/api", "link_url": "http://a/?s="}, "http://a/?s="),
    ],
)
def test_address_of_a_link_is_the_configured_one(
    database_url: str, tmp_path: Path, settings: dict[str, str], base: str
) -> None:
    with (
        start_server(database_url, tmp_path, **settings) as server,
        server.client(f"maria-{uuid.uuid4()}") as maria,
    ):
        link = publish(maria, new_conversation(maria))

        assert link["url"] == base + link["secret"]
        if base.startswith("/"):
            assert maria.get(link["url"]).status_code == 200
        assert shown(maria, link)["messages"] == []


def test_secret_is_in_no_log_and_no_metric(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_port": str(port), "log_client_address": "on", "log_level": "debug"}
    with start_server(database_url, tmp_path, **settings) as server:
        with server.client(f"maria-{uuid.uuid4()}") as maria:
            conversation = new_conversation(maria)
            link = publish(maria, conversation)
            request_id = str(uuid.uuid4())
            path = f"/shared/{link['secret']}"
            assert maria.get(path, headers={"X-Request-Id": request_id}).status_code == 200
            assert maria.post(path).status_code == 405
            assert maria.get(f"{path}/more").status_code == 404
            assert maria.get(path, headers={"If-None-Match": "x"}).status_code == 422
            maria.delete(f"{links_of(conversation)}/{link['id']}")
            assert maria.get(path).status_code == 404
            create(maria, "/conversations")
        line = line_of(server, request_id)
        samples = scrape_idle(port)

        assert (line["route"], line["operation"]) == ("/shared/{secret}", "get_shared_conversation")
        assert "user" not in line
        assert link["secret"] not in server.log.read_text()
        assert link["secret"] not in json.dumps([[name, list(has)] for name, has in samples])
        routes = {dict(has).get("operation") for _, has in samples}
        assert "get_shared_conversation" in routes
