"""The contract's operations: what tests send, and what the contract promises.

Tests loop over these, so that they also cover operations that are added later.
`DOCUMENT` reads the contract; its class is in .ci/contract/document.py.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.calls import NOBODYS_ID

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / ".ci" / "contract"))
import document  # noqa: E402  # its folder is on the path only here

sys.path.pop(0)

PATH = ROOT / "openapi" / "agent-api.yaml"
TEXT = PATH.read_bytes()
DOCUMENT = document.load(PATH)
METHODS = document.METHODS
CONTRACT = DOCUMENT.raw
resolved = DOCUMENT.resolved
walk = document.walk
subschemas = document.subschemas
NOWHERE = NOBODYS_ID

Rows = dict[str, str]
"""The ids of a user's rows by the name of the path parameter that takes them."""


@dataclass(frozen=True)
class Operation:
    """One operation of the contract."""

    operation_id: str
    method: str
    path: str
    tag: str
    secured: bool
    takes_lease: bool
    for_workers: bool
    """Whether only workers may use it."""
    parameters: tuple[dict[str, Any], ...]
    body_schema: dict[str, Any]
    body_required: bool
    requests: dict[str, Any]
    """The examples of its body by name, none if it has no body."""
    responses: dict[int, dict[str, Any]]
    """The examples of each status by name."""
    links: dict[str, dict[str, Any]]
    """The links of its success by name."""

    @property
    def is_stream(self) -> bool:
        return self.operation_id.startswith("stream_")

    @property
    def has_body(self) -> bool:
        return bool(self.requests)

    @property
    def example(self) -> Any:
        """Return the first example of its body, or None if it has no body."""
        return next(iter(self.requests.values()), None)

    @property
    def statuses(self) -> frozenset[int]:
        return frozenset(self.responses)

    @property
    def names(self) -> list[str]:
        """Return the names of its path parameters: the rows that it works on."""
        return [part["name"] for part in self.parameters if part["in"] == "path"]

    @property
    def success(self) -> int:
        return min(self.responses)

    @property
    def required_parameters(self) -> list[dict[str, Any]]:
        """Return the parameters of the query that each request needs."""
        return [part for part in self.parameters if part["in"] == "query" and part.get("required")]

    @property
    def required_query(self) -> str:
        """Return the query string of its required parameters, with their examples."""
        return urlencode({part["name"]: part["example"] for part in self.required_parameters})

    def url(self, rows: Rows) -> str:
        """Return its path with the ids of `rows`."""
        return self.path.format_map(rows)

    def body(self, rows: Rows) -> Any:
        """Return its example, with the ids of `rows` for those that the example refers to."""
        refers = {"up_to": "message_id", "sibling_of": "message_id", "parent_id": "message_id"}
        return {
            name: rows[refers.get(name, name)]
            if refers.get(name, name) in rows and value is not None
            else value
            for name, value in self.example.items()
        }

    def send(
        self,
        client: httpx.Client,
        rows: Rows,
        *,
        query: str = "",
        whole: bool = False,
        **options: Any,
    ) -> httpx.Response:
        """Send an acceptable request on `rows`; `options` are httpx's and win.

        `query` goes out as it is, while httpx's `params` are encoded anew. A stream is only read
        with `whole`, because it may have no end.
        """
        if self.has_body and not {"json", "content"} & options.keys():
            options["json"] = self.body(rows)
        if "params" in options:  # httpx replaces the URL's query by them
            needed = {part["name"]: part["example"] for part in self.required_parameters}
            options["params"] = needed | options["params"]
        else:
            query = "&".join(filter(None, [self.required_query, query]))
        url = f"{self.url(rows)}?{query}" if query else self.url(rows)
        method = options.pop("method", self.method)
        if not self.is_stream:
            return client.request(method, url, **options)
        with client.stream(method, url, **options) as response:
            if whole or response.status_code != self.success:
                response.read()
        return response


def request(
    client: httpx.Client, method: str, url: str, *, blocks: int = 1, **options: Any
) -> httpx.Response:
    """Send a request. A stream may not end: read it up to so many blocks."""
    if "/stream" not in url or method == "HEAD":
        return client.request(method, url, **options)
    content = b""
    with client.stream(method, url, **options) as response:
        for piece in response.iter_raw():
            content += piece
            if response.status_code == 200 and content.count(b"\n\n") >= blocks:
                break
        headers = response.headers.multi_items()
        return httpx.Response(response.status_code, headers=headers, content=content)


def _operation(name: str) -> Operation:
    method, path = name.split()
    item, source = DOCUMENT.operations()[name]
    parameters = DOCUMENT.parameters(item, source)
    body = DOCUMENT.resolved(source.get("requestBody", {}))
    content = body.get("content", {}).get("application/json", {})
    security: Any = source.get("security", CONTRACT["security"])
    responses = {int(s): DOCUMENT.resolved(node) for s, node in source["responses"].items()}
    links = responses[min(responses)].get("links", {})
    return Operation(
        operation_id=source["operationId"],
        method=method,
        path=path,
        tag=source["tags"][0],
        secured=bool(security),
        takes_lease=any("runLease" in option for option in security),
        for_workers=source["tags"] == ["workers"],
        parameters=tuple(part | {"schema": resolved(part["schema"])} for part in parameters),
        body_schema=resolved(content.get("schema", {})),
        body_required=body.get("required", False),
        requests=DOCUMENT.examples(content),
        responses={status: _examples(response) for status, response in responses.items()},
        links={name: resolved(link) for name, link in links.items()},
    )


def _examples(response: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a response, which has one media type at most."""
    (content,) = response.get("content", {"": {}}).values()
    return DOCUMENT.examples(content)


OPERATIONS = [_operation(name) for name in DOCUMENT.operations()]
SECURED = [operation for operation in OPERATIONS if operation.secured]
FOR_USERS = [operation for operation in SECURED if not operation.for_workers]
ON_ROWS = [operation for operation in FOR_USERS if operation.names]
WITH_BODY = [o for o in OPERATIONS if o.has_body and not o.for_workers]


CONTAINERS = ("delete_message", "delete_conversation")


def containers_last(operations: Iterable[Operation]) -> list[Operation]:
    """Return the operations in an order in which nothing is deleted with something else before."""
    return sorted(
        operations,
        key=lambda o: (
            o.method == "DELETE",
            CONTAINERS.index(o.operation_id) + 1 if o.operation_id in CONTAINERS else 0,
        ),
    )


def name_of(value: Any) -> str | None:
    """Return the id of a test's parameter: pytest's `ids`."""
    return value.operation_id if isinstance(value, Operation) else None


def make_rows(client: httpx.Client) -> Rows:
    """Make one row of each kind, for the client's user; a new kind of row is added here."""
    conversation = _created(client, "/conversations", {"metadata": {"owner": "the first"}})
    run = _created(client, "/runs", {"agent_id": "agent", "conversation_id": conversation})
    file = {"filename": "secret.pdf", "file_url": "s3://secret", "added_to_library": True}
    attachment = _created(client, "/chat-attachments", file)
    # With the words that the contract's example of a search looks for.
    content = "A secret of the first user: the lease offers, and their cost."
    message = _created(
        client,
        f"/conversations/{conversation}/messages",
        {"role": "user", "content": content, "run_id": run, "attachment_ids": [attachment]},
    )
    rated = client.put(f"/messages/{message}/feedback", json={"rating": "down"})
    assert rated.status_code == 200, rated.text
    link = client.post(f"/conversations/{conversation}/links", json={})
    assert link.status_code == 201, link.text
    member = f"member of {conversation}"
    _created(client, f"/conversations/{conversation}/shares", {"user_id": member, "role": "viewer"})
    return {
        "conversation_id": conversation,
        "run_id": run,
        "message_id": message,
        "user_id": member,
        "attachment_id": attachment,
        "link_id": link.json()["id"],
        "secret": link.json()["secret"],
    }


def _created(client: httpx.Client, path: str, body: dict[str, Any]) -> str:
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    made: str = response.json()["id"]
    return made


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Assert that `response` is a problem document of `status`, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    problem: dict[str, Any] = json.loads(response.content)
    assert problem["status"] == status
    assert problem["type"].startswith("/problems/")
    assert problem["title"]
    assert problem["detail"]
    return problem


def places(problem: dict[str, Any]) -> set[str]:
    """Return what a 422 points at, each as part:pointer."""
    return {f"{error['in']}:{error['pointer']}" for error in problem["errors"]}


def digits_of(number: int) -> str:
    """Return the digits by which the double next to an integer is written, if there is one."""
    try:
        return f"{Decimal(repr(float(number))):f}".removesuffix(".0")
    except OverflowError:
        return ""


def breaks_a_rule_in_words(value: Any) -> bool:
    """Tell whether `value` has a NUL or an integer of over 64 bits, which the contract's text bans.

    JSON Schema has no word for either that would hold wherever they stand.
    """
    match value:
        case dict():
            return any(breaks_a_rule_in_words(item) for pair in value.items() for item in pair)
        case list():
            return any(breaks_a_rule_in_words(item) for item in value)
        case str():
            return "\0" in value
        case int():
            # Beyond 64 bits only the digits of a double, as answers write it, are taken.
            return not -(2**63) <= value < 2**64 and digits_of(value) != str(value)
    return False
