"""Query parameters: which spellings are read and which are refused."""

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract import (
    NOWHERE,
    OPERATIONS,
    Operation,
    Rows,
    assert_problem,
    places,
)
from tests.protocol.cases import PROPERTY, case
from tests.servers import Server
from tests.wire import ask, head


def parameters(*types: str) -> Any:
    """Return a mark for a test of every query parameter of `types`."""
    found = [
        pytest.param(operation, part, id=f"{operation.operation_id}-{part['name']}")
        for operation in OPERATIONS
        for part in operation.parameters
        if part["in"] == "query" and part["schema"]["type"] in types
    ]
    return pytest.mark.parametrize(("operation", "parameter"), found)


def assert_refused(
    operation: Operation, client: httpx.Client, rows: Rows, query: str, parameter: dict[str, Any]
) -> None:
    """Assert that the operation refuses `query` because of `parameter`."""
    with case(query):
        problem = assert_problem(operation.send(client, rows, query=query), 422)
        assert problem["type"] == "/problems/validation-failed"
        assert places(problem) == {f"query:/{parameter['name']}"}


@parameters("integer")
def test_integer_parameter_is_ascii_digits_within_bounds(
    operation: Operation, parameter: dict[str, Any], owner: httpx.Client, kept_rows: Rows
) -> None:
    name, schema = parameter["name"], parameter["schema"]
    odd = ["1_0", "\u0665", "\uff11", "\u00b2", "+1", " 1", "1 ", "1.0", "1e1", "0x1", ""]
    odd += ["one", "null", "1,2"]
    outside = [schema["minimum"] - 1, schema["maximum"] + 1, 10**18, 10**30, "9" * 5000]

    for value in [*odd, *outside]:
        assert_refused(operation, owner, kept_rows, f"{name}={quote(str(value))}", parameter)

    for value in (schema["minimum"], schema["maximum"]):
        accepted = operation.send(owner, kept_rows, params={name: value}).status_code
        # A log of changes does not have every position.
        assert accepted == 200 or (name, accepted) == ("after", 410)


@parameters("boolean")
def test_boolean_parameter_is_true_or_false(
    operation: Operation, parameter: dict[str, Any], owner: httpx.Client, kept_rows: Rows
) -> None:
    for value in ("True", "FALSE", "1", "0", "yes", "on", "", "null"):
        assert_refused(operation, owner, kept_rows, f"{parameter['name']}={value}", parameter)

    for value in ("true", "false"):
        query = {parameter["name"]: value}
        assert operation.send(owner, kept_rows, params=query).status_code == 200


@parameters("string")
def test_string_parameter_is_validated(
    operation: Operation, parameter: dict[str, Any], owner: httpx.Client, kept_rows: Rows
) -> None:
    name, schema = parameter["name"], parameter["schema"]
    bad = [""]
    if "maxLength" in schema:
        bad.append("a" * (schema["maxLength"] + 1))
    if "enum" in schema:
        bad += [schema["enum"][0].upper(), f" {schema['enum'][0]}", ",".join(schema["enum"])]
    if schema.get("format") == "uuid":
        bad += ["not-a-uuid", NOWHERE[:-1], NOWHERE.replace("-", "")]

    for value in bad:
        assert_refused(operation, owner, kept_rows, f"{name}={quote(value)}", parameter)


@parameters("string", "integer", "boolean")
def test_repeated_parameter_or_nul_is_refused(
    operation: Operation, parameter: dict[str, Any], owner: httpx.Client, kept_rows: Rows
) -> None:
    name, example = parameter["name"], quote(str(parameter["example"]).lower())
    twice = f"{name}={example}&{name}={example}"

    assert_refused(operation, owner, kept_rows, twice, parameter)
    assert_refused(operation, owner, kept_rows, f"{name}=a%00b", parameter)


def test_list_conversations_refuses_query_that_is_not_utf_8(owner: httpx.Client) -> None:
    for value in ("%FF", "%ED%A0%80", "%C3%28"):
        with case(value):
            problem = assert_problem(owner.get(f"/conversations?source={value}"), 422)
            assert {error["in"] for error in problem["errors"]} == {"query"}


def test_list_conversations_refuses_unescaped_bytes(server: Server) -> None:
    answer = ask(server, head("GET /conversations?source=X").replace(b"X", b"\xc3\xbc", 1))

    assert answer.status in (400, 422)


def test_list_conversations_refuses_thousands_of_query_fields(owner: httpx.Client) -> None:
    assert_problem(owner.get("/conversations?" + "&".join(["a=1"] * 5000)), 422)


def test_list_conversations_reports_all_wrong_parameters(owner: httpx.Client) -> None:
    query: dict[str, str | int] = {"limit": 0, "offset": -1, "order": "up", "source": ""}

    response = owner.get("/conversations", params=query)

    wrong = {error["pointer"]: error["detail"] for error in assert_problem(response, 422)["errors"]}
    assert wrong.keys() == {f"/{name}" for name in query}
    assert wrong["/limit"] == "must be at least 1"
    assert wrong["/order"] == "must be one of: asc, desc"


@given(text=st.text(max_size=30) | st.from_regex(r"[-+]?[0-9_]{1,22}", fullmatch=True))
@PROPERTY
def test_list_conversations_reads_or_refuses_any_limit(owner: httpx.Client, text: str) -> None:
    try:
        query = "limit=" + quote(text)
    except UnicodeEncodeError:  # no client can send a lone surrogate
        return
    fits = re.fullmatch("-?[0-9]{1,19}", text, re.ASCII) and 1 <= int(text) <= 100

    response = owner.get(f"/conversations?{query}")

    if fits:
        assert response.json()["limit"] == int(text)
    else:
        assert places(assert_problem(response, 422)) == {"query:/limit"}
