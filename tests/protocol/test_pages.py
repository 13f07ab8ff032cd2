"""The contract and its documentation page."""

import re
from urllib.parse import urljoin

import httpx
import yaml

from tests.contract import (
    TEXT,
)

# The contract and its documentation page


def test_contract_is_served_byte_for_byte(anonymous: httpx.Client) -> None:
    as_yaml = anonymous.get("/openapi.yaml")

    assert as_yaml.content == TEXT
    assert as_yaml.headers["content-type"].startswith("application/yaml")


def test_contract_is_served_as_json_after_bodies_were_validated(
    anonymous: httpx.Client, owner: httpx.Client
) -> None:
    assert owner.post("/conversations", json={}).status_code == 201
    assert owner.post("/conversations", json={"title": 1}).status_code == 422

    as_json = anonymous.get("/openapi.json")

    assert as_json.headers["content-type"] == "application/json"
    assert as_json.json() == yaml.safe_load(TEXT)


def test_documentation_page_works_offline(anonymous: httpx.Client) -> None:
    page = anonymous.get("/docs")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"(https?:)?//\w", page.text.replace("<!doctype", ""))
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) >= 3
    for name in named:
        asset = anonymous.get(urljoin("/docs", name))
        assert asset.status_code == 200, name
        assert asset.content
    script = anonymous.get("/docs/init.js").text
    (contract,) = re.findall(r'url: "([^"]+)"', script)
    assert anonymous.get(urljoin("/docs", contract)).json()["openapi"] == "3.0.3"


def test_documentation_page_forbids_other_origins_by_its_csp(anonymous: httpx.Client) -> None:
    policy = anonymous.get("/docs").headers["content-security-policy"]

    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == ["'self'"]
    assert rules["connect-src"] == ["'self'"]
    assert not [source for sources in rules.values() for source in sources if "http" in source]


def test_range_request_for_the_contract_is_answered(anonymous: httpx.Client) -> None:
    for value in ("bytes=0-3", "bytes=999999999-", "bytes=x", "lines=1-2"):
        response = anonymous.get("/openapi.yaml", headers={"Range": value})

        assert response.status_code in (200, 206, 416), value
