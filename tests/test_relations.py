"""Every operation times every relation to the row: the owner's, another user's, nobody's.

All of it follows from the contract: an operation on a row declares 403 and 404, one without does
not, and a body or query that names a row says so by the name of a path parameter.
"""

from typing import Any

import httpx
import pytest

from tests.contract import (
    CONTRACT,
    NOWHERE,
    ON_ROWS,
    OPERATIONS,
    SECURED,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    name_of,
    places,
)
from tests.tokens import SETTINGS

KINDS = {name for operation in ON_ROWS for name in operation.names}
NOBODYS = dict.fromkeys(KINDS, NOWHERE)
READING = [operation for operation in SECURED if operation.method == "GET"]
LISTING = [operation for operation in READING if not operation.names]


def references(operation: Operation) -> list[str]:
    """Return the properties of the operation's body that name a row."""
    path = CONTRACT["paths"][operation.path][operation.method.lower()]
    content = path.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [name for name in _properties(content.get("schema", {})) if name in KINDS]


def _properties(schema: dict[str, Any]) -> set[str]:
    """Return the names of a schema's properties, also of those that it refers to or combines."""
    if "$ref" in schema:
        return _properties(CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    parts = [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, [])]
    return set(schema.get("properties", {})).union(*map(_properties, parts))


def filters(operation: Operation) -> list[str]:
    """Return the parameters of the operation's query that name a row."""
    return [p["name"] for p in operation.parameters if p["in"] == "query" and p["name"] in KINDS]


REFERRING = [(o, name) for o in SECURED for name in references(o)]
FILTERING = [(o, name) for o in SECURED for name in filters(o)]


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind, alice's, and settings of hers."""
    saved = alice.put(SETTINGS, json={"model": "alices-model", "enabled_tools": ["alices-tool"]})
    assert saved.status_code == 200
    return make_rows(alice)


def everything_of(client: httpx.Client, rows: Rows) -> list[Any]:
    """Return what each reading operation says to the owner of `rows`."""
    answers = [operation.send(client, rows) for operation in READING]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json() for answer in answers]


def test_there_is_a_row_of_each_kind(rows: Rows) -> None:
    """A new kind of row is added to make_rows; without it nothing below would try it."""
    assert rows.keys() == KINDS


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_what_works_on_a_row_declares_403_and_404_and_nothing_else_does(
    operation: Operation,
) -> None:
    declared = operation.statuses & {401, 403, 404}

    assert (401 in declared) == operation.secured
    assert declared - {401} == ({403, 404} if operation.names else set())
    assert operation.secured or not operation.names


@pytest.mark.parametrize("operation", SECURED, ids=name_of)
def test_the_owner_is_answered(operation: Operation, alice: httpx.Client, rows: Rows) -> None:
    assert operation.send(alice, rows).status_code == operation.success


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_another_user_is_refused_and_nothing_has_changed(
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    before = everything_of(alice, rows)

    response = operation.send(bob, rows)

    problem = assert_problem(response, 403)
    assert problem["type"] == "/problems/forbidden"
    assert not [value for value in secrets_of(alice, rows) if value in response.text], problem
    assert everything_of(alice, rows) == before


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_another_user_who_owns_rows_of_the_same_kind_is_refused_too(
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    """Of several ids in a request one may be the caller's own: each one has to be."""
    his = make_rows(bob)
    before, his_before = everything_of(alice, rows), everything_of(bob, his)

    for name in operation.names:
        response = operation.send(bob, his | {name: rows[name]})
        assert response.status_code in (403, 404), response.text

    assert everything_of(alice, rows) == before
    assert everything_of(bob, his) == his_before


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_what_does_not_exist_is_not_found_by_anybody(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    before = everything_of(alice, rows)

    for name in operation.names:
        assert_problem(operation.send(alice, rows | {name: NOWHERE}), 404)
    problem = assert_problem(operation.send(alice, NOBODYS), 404)
    assert problem["type"] == "/problems/not-found"

    assert everything_of(alice, rows) == before


@pytest.mark.parametrize("operation", ON_ROWS, ids=name_of)
def test_without_a_token_a_row_that_exists_looks_like_none(
    operation: Operation, anonymous: httpx.Client, rows: Rows
) -> None:
    existing, missing = operation.send(anonymous, rows), operation.send(anonymous, NOBODYS)

    assert assert_problem(existing, 401) == assert_problem(missing, 401)


@pytest.mark.parametrize("operation", LISTING, ids=name_of)
def test_lists_and_settings_show_nothing_of_another_user(
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    make_rows(bob)

    response = operation.send(bob, rows)

    assert response.status_code == 200
    assert not [value for value in secrets_of(alice, rows) if value in response.text]


@pytest.mark.parametrize(("operation", "name"), FILTERING, ids=name_of)
def test_a_filter_by_another_users_row_finds_what_one_by_no_row_finds(
    operation: Operation, name: str, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    make_rows(bob)

    hers = operation.send(bob, rows, query=f"{name}={rows[name]}")
    none = operation.send(bob, rows, query=f"{name}={NOWHERE}")

    assert hers.status_code == none.status_code == 200
    assert hers.json() == none.json()
    assert none.json()["total"] == 0
    assert operation.send(alice, rows, query=f"{name}={rows[name]}").json()["total"] > 0


@pytest.mark.parametrize(("operation", "name"), REFERRING, ids=name_of)
def test_a_body_that_names_another_users_row_is_refused_like_one_that_names_none(
    operation: Operation, name: str, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    his = make_rows(bob)
    before, his_before = everything_of(alice, rows), everything_of(bob, his)
    body = operation.body(his)

    hers = operation.send(bob, his, json=body | {name: rows[name]})
    none = operation.send(bob, his, json=body | {name: NOWHERE})

    assert assert_problem(hers, 422) == assert_problem(none, 422)
    assert places(hers.json()) == {f"body:/{name}"}
    assert everything_of(alice, rows) == before
    assert everything_of(bob, his) == his_before
    assert operation.send(bob, his, json=body | {name: his[name]}).status_code == operation.success


def secrets_of(client: httpx.Client, rows: Rows) -> list[str]:
    """Return what must not show up in an answer to anybody else."""
    settings = client.get(SETTINGS).json()
    ids = [*rows.values(), settings["id"]] if "id" in settings else [*rows.values()]
    return [*ids, settings["user_id"], "alices-"]
