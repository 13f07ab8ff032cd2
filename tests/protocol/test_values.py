"""Values in a body that PostgreSQL, or JSON itself, could not keep."""

import json

import httpx
import orjson
import pytest

from tests.contract import (
    Operation,
    Rows,
    assert_problem,
    places,
)
from tests.protocol.matrices import EVERY_OPERATION_WITH_A_BODY, JSON

POISON = {
    "NUL": "\\u0000",
    "a lone high surrogate": "\\ud800",
    "a lone low surrogate": "\\udfff",
    "surrogates in the wrong order": "\\udc00\\ud800",
    "a surrogate before text": "\\uD83Dx",
}
PLACES = {
    '{"title": "a%sb"}': "/title",
    '{"metadata": {"key": "%s"}}': "/metadata/key",
    '{"metadata": {"deep": [1, {"er": ["%s"]}]}}': "/metadata/deep/1/er/0",
    '{"metadata": {"%s": 1}}': "/metadata",
    '{"metadata": {"list": [{"a%sb": 1}]}}': "/metadata/list/0",
    '{"%s": 1}': "",
    '{"unknown": ["%s"]}': "/unknown/0",
}


@pytest.mark.parametrize("text", POISON.values(), ids=POISON)
@pytest.mark.parametrize(("document", "pointer"), PLACES.items(), ids=PLACES)
def test_create_conversation_refuses_nul_and_lone_surrogates_anywhere(
    user: httpx.Client, text: str, document: str, pointer: str
) -> None:
    response = user.post("/conversations", content=document % text, headers=JSON)

    assert places(assert_problem(response, 422)) == {f"body:{pointer}"}


@EVERY_OPERATION_WITH_A_BODY
@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_every_body_refuses_nul_and_lone_surrogates(
    operation: Operation, user: httpx.Client, rows: Rows, text: str
) -> None:
    document = json.dumps(operation.body(rows) | {"extra": {"key": "HERE"}})

    response = operation.send(user, rows, content=document.replace("HERE", text), headers=JSON)

    assert places(assert_problem(response, 422)) == {"body:/extra/key"}


@pytest.mark.parametrize(
    "text", ['"\\ud83d\\ude00"', '"\\\\u0000"', '"\\uffff\\ufeff"', '"\\u0001"']
)
def test_create_conversation_keeps_text_that_only_looks_alike(
    user: httpx.Client, text: str
) -> None:
    response = user.post("/conversations", content=f'{{"metadata": {{"a": {text}}}}}', headers=JSON)

    assert response.status_code == 201, response.text
    assert response.json()["metadata"]["a"] == json.loads(text)


TOO_LARGE = {
    str(2**64): 2**64,
    str(-(2**63) - 1): -(2**63) - 1,
    "5000 digits": "9" * 5000,
    "minus 5000 digits": "-" + "9" * 5000,
    "1e400": "1e400",
    "-1E+400": "-1E+400",
    "5000 digits and a point": "9" * 5000 + ".5",
}


@pytest.mark.parametrize("number", TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize(
    ("document", "pointer"),
    {
        '{"metadata": {"a": [%s]}}': "/metadata/a/0",
        '{"title": %s}': "/title",
        '{"extra": %s}': "/extra",
        '{"metadata": {"a\\u0000b": %s}}': "/metadata",
        '{"metadata": {"a\\ud800b": %s}}': "/metadata",
    }.items(),
    ids=["nested", "where text belongs", "in what is ignored", "under NUL", "under a surrogate"],
)
def test_create_conversation_refuses_numbers_that_do_not_fit(
    user: httpx.Client, number: object, document: str, pointer: str
) -> None:
    response = user.post("/conversations", content=document % number, headers=JSON)

    found = places(assert_problem(response, 422))
    assert f"body:{pointer}" in found
    assert len(found) <= 2


@pytest.mark.parametrize(
    "number", [2**64 - 1, -(2**63), 2**53 + 1, 1e308, 5e-324, 0.1, -0.0, 1e22, 123456789.125]
)
def test_create_conversation_keeps_numbers_that_fit(user: httpx.Client, number: float) -> None:
    made = user.post("/conversations", json={"metadata": {"number": number}})

    assert made.status_code == 201, made.text
    again = user.get(made.headers["location"], params={"include_messages": False})
    for answer in (made, again):  # as most read it: an integer beyond 64 bits is a double
        assert orjson.loads(answer.content)["metadata"] == {"number": number}


def nested(levels: int, innermost: str = "") -> str:
    """Return a body of just so many levels: the body's own object and metadata are two of them."""
    return '{"metadata": {"a": ' + "[" * (levels - 2) + innermost + "]" * (levels - 2) + "}}"


@pytest.mark.parametrize("innermost", ["", "1", '"text"', '"\\u0041"'])
def test_create_conversation_keeps_100_levels(user: httpx.Client, innermost: str) -> None:
    document = nested(100, innermost)

    made = user.post("/conversations", content=document, headers=JSON)

    assert made.status_code == 201, made.text
    again = user.get(made.headers["location"])
    assert again.json()["metadata"] == json.loads(document)["metadata"]
    assert user.get("/conversations").status_code == 200


@pytest.mark.parametrize("levels", [101, 102, 128, 129, 500, 1024, 1025, 2000, 100_000])
@pytest.mark.parametrize("innermost", ["", "1"])
def test_create_conversation_refuses_more_than_100_levels(
    user: httpx.Client, levels: int, innermost: str
) -> None:
    response = user.post("/conversations", content=nested(levels, innermost), headers=JSON)

    problem = assert_problem(response, 422)
    assert {error["in"] for error in problem["errors"]} == {"body"}
    assert len(response.content) < 10_000


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
def test_create_conversation_survives_what_only_opens(user: httpx.Client, opening: str) -> None:
    response = user.post("/conversations", content=opening * 100_000, headers=JSON)

    assert response.status_code in (400, 422)
    assert_problem(response, response.status_code)


def test_create_conversation_takes_the_last_of_two_equal_keys(user: httpx.Client) -> None:
    response = user.post("/conversations", content='{"title": "a", "title": "b"}', headers=JSON)

    assert response.json()["title"] == "b"


@pytest.mark.parametrize("number", [1e20, 1e22, 1.7976931348623157e308, -(2.0**70), 2.0**64])
def test_create_conversation_takes_back_the_digits_that_it_wrote(
    user: httpx.Client, number: float
) -> None:
    """Python reads an integer, of far more than 64 bits; a browser writes 1e20 with 21 digits."""
    made = user.post("/conversations", json={"metadata": {"number": number}}).json()

    again = user.post("/conversations", json={"metadata": made["metadata"]})

    assert isinstance(made["metadata"]["number"], int)
    assert again.status_code == 201, again.text
    assert again.json()["metadata"] == made["metadata"]
