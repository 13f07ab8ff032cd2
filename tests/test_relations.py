"""Access to rows: every operation on the caller's row, on another user's, and on a missing one.

The cases follow from the contract. A body or query property refers to a row if it has the name of
a path parameter.
"""

from typing import Any

import httpx
import pytest

from tests.calls import rows as rows_of
from tests.contract import (
    CONTRACT,
    FOR_USERS,
    NOWHERE,
    ON_ROWS,
    OPERATIONS,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    name_of,
    places,
)
from tests.tokens import SETTINGS

PARAMETERS = {name for operation in ON_ROWS for name in operation.names}
NOBODYS = dict.fromkeys(PARAMETERS, NOWHERE)
ROW_PARAMETERS = PARAMETERS - {"user_id"}  # users are not rows: any id can be one
READING = [o for o in FOR_USERS if o.method == "GET" and not o.is_stream]
LISTING = [operation for operation in READING if not operation.names]


def references(operation: Operation) -> list[str]:
    """Return the properties of the operation's body that refer to a row."""
    path = CONTRACT["paths"][operation.path][operation.method.lower()]
    content = path.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [name for name in _properties(content.get("schema", {})) if name in ROW_PARAMETERS]


def _properties(schema: dict[str, Any]) -> set[str]:
    """Return the names of a schema's properties, including those of schemas it refers to."""
    if "$ref" in schema:
        return _properties(CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    parts = [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, [])]
    return set(schema.get("properties", {})).union(*map(_properties, parts))


def filters(operation: Operation) -> list[str]:
    """Return the query parameters of the operation that refer to a row."""
    return [
        p["name"]
        for p in operation.parameters
        if p["in"] == "query" and p["name"] in ROW_PARAMETERS
    ]


REFERRING = [(o, name) for o in FOR_USERS for name in references(o)]
FILTERING = [(o, name) for o in FOR_USERS for name in filters(o)]


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind and saved settings, all owned by alice."""
    return make_rows_and_settings(alice)


@pytest.fixture(scope="module")
def kept_rows(owner: httpx.Client) -> Rows:
    """The same of another user, for requests that are refused."""
    return make_rows_and_settings(owner)


@pytest.fixture(scope="module")
def everything(owner: httpx.Client, kept_rows: Rows) -> list[str]:
    """What `owner` reads as long as no request has changed anything."""
    return everything_of(owner, kept_rows)


def make_rows_and_settings(client: httpx.Client) -> Rows:
    saved = client.put(SETTINGS, json={"model": "secret-model", "enabled_tools": ["secret-tool"]})
    assert saved.status_code == 200
    return make_rows(client)


def everything_of(client: httpx.Client, rows: Rows) -> list[str]:
    """Return the response bodies of all reading operations for the owner of `rows`."""
    answers = [each.send(client, rows) for each in READING if not each.is_stream]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.text for answer in answers]


def test_make_rows_makes_every_kind_of_row(rows: Rows) -> None:
    """If this fails, add the new kind of row to make_rows."""
    assert rows.keys() == PARAMETERS | {"secret"}  # of the link, for everybody


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_only_operations_on_rows_declare_404(
    operation: Operation,
) -> None:
    declared = operation.statuses & {401, 403, 404}

    assert (401 in declared) == (403 in declared) == operation.secured
    assert (404 in declared) == bool(operation.names and not operation.for_workers)
    assert operation.secured or set(operation.names) <= {"secret"}


@pytest.mark.parametrize("operation", FOR_USERS, ids=name_of)
def test_owner_may_use_every_operation(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    assert operation.send(alice, rows).status_code == operation.success


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_other_users_get_403_and_change_nothing(
    operation: Operation,
    owner: httpx.Client,
    bob: httpx.Client,
    kept_rows: Rows,
    everything: list[str],
) -> None:
    response = operation.send(bob, kept_rows)

    problem = assert_problem(response, 403)
    assert problem["type"] == "/problems/forbidden"
    assert not [value for value in secrets_of(owner, kept_rows) if value in response.text], problem
    assert everything_of(owner, kept_rows) == everything


@pytest.mark.slow  # makes all kinds of rows for another user; the next tests do without
@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_users_with_rows_of_the_same_kind_are_rejected_too(
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    """Every id in a request must be the caller's, not just one of them."""
    his = make_rows(bob)
    before, his_before = everything_of(alice, rows), everything_of(bob, his)

    for name in operation.names:
        response = operation.send(bob, his | {name: rows[name]})
        assert response.status_code in (403, 404), response.text

    assert everything_of(alice, rows) == before
    assert everything_of(bob, his) == his_before


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_missing_rows_are_not_found(
    operation: Operation, owner: httpx.Client, kept_rows: Rows, everything: list[str]
) -> None:
    for name in operation.names:
        assert_problem(operation.send(owner, kept_rows | {name: NOWHERE}), 404)
    problem = assert_problem(operation.send(owner, NOBODYS), 404)
    assert problem["type"] == "/problems/not-found"

    assert everything_of(owner, kept_rows) == everything


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_existing_and_missing_rows_look_alike_without_a_token(
    operation: Operation, anonymous: httpx.Client, kept_rows: Rows
) -> None:
    existing, missing = operation.send(anonymous, kept_rows), operation.send(anonymous, NOBODYS)

    assert assert_problem(existing, 401) == assert_problem(missing, 401)


@pytest.mark.parametrize("operation", LISTING, ids=name_of)
def test_lists_and_settings_show_nothing_of_other_users(
    operation: Operation, owner: httpx.Client, bob: httpx.Client, kept_rows: Rows
) -> None:
    make_rows(bob)

    response = operation.send(bob, kept_rows)

    assert response.status_code == 200
    assert not [value for value in secrets_of(owner, kept_rows) if value in response.text]


@pytest.mark.parametrize(("operation", "name"), FILTERING, ids=name_of)
def test_filters_by_rows_of_other_users_find_nothing(
    operation: Operation, name: str, owner: httpx.Client, bob: httpx.Client, kept_rows: Rows
) -> None:
    make_rows(bob)

    hers = operation.send(bob, kept_rows, query=f"{name}={kept_rows[name]}")
    none = operation.send(bob, kept_rows, query=f"{name}={NOWHERE}")

    assert hers.status_code == none.status_code == 200
    assert hers.json() == none.json()
    own = operation.send(owner, kept_rows, query=f"{name}={kept_rows[name]}")
    assert rows_of(none.json()) == []
    assert rows_of(own.json()) != []


@pytest.mark.parametrize(("operation", "name"), REFERRING, ids=name_of)
def test_references_to_rows_of_other_users_look_like_missing_rows(
    operation: Operation,
    name: str,
    bob: httpx.Client,
    owner: httpx.Client,
    kept_rows: Rows,
    everything: list[str],
) -> None:
    his = make_rows(bob)
    before = everything_of(bob, his)
    body = operation.body(his)

    hers = operation.send(bob, his, json=body | {name: kept_rows[name]})
    none = operation.send(bob, his, json=body | {name: NOWHERE})

    assert assert_problem(hers, 422) == assert_problem(none, 422)
    assert places(hers.json()) == {f"body:/{name}"}
    assert everything_of(owner, kept_rows) == everything
    assert everything_of(bob, his) == before
    assert operation.send(bob, his, json=body | {name: his[name]}).status_code == operation.success


def secrets_of(client: httpx.Client, rows: Rows) -> list[str]:
    """Return values that no response to another user may contain."""
    settings = client.get(SETTINGS).json()
    ids = [*rows.values(), settings["id"]] if "id" in settings else [*rows.values()]
    return [*ids, settings["user_id"], "secret-"]
