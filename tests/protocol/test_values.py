"""Values in a body that PostgreSQL or JSON cannot store."""

import json
from decimal import Decimal

import httpx
import orjson
import pytest

from tests.contract import (
    Operation,
    Rows,
    assert_problem,
    places,
)
from tests.protocol.cases import EVERY_OPERATION_WITH_A_BODY, JSON, case

UNSTORABLE = {
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


@pytest.mark.parametrize("text", UNSTORABLE.values(), ids=UNSTORABLE)
def test_create_conversation_refuses_nul_and_lone_surrogates_anywhere(
    owner: httpx.Client, text: str
) -> None:
    for document, pointer in PLACES.items():
        with case(document):
            response = owner.post("/conversations", content=document % text, headers=JSON)

            assert places(assert_problem(response, 422)) == {f"body:{pointer}"}


@EVERY_OPERATION_WITH_A_BODY
def test_every_body_refuses_nul_and_lone_surrogates(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    document = json.dumps(operation.body(kept_rows) | {"extra": {"key": "HERE"}})
    for text in ("\\u0000", "\\ud800"):
        with case(text):
            content = document.replace("HERE", text)
            response = operation.send(owner, kept_rows, content=content, headers=JSON)

            assert places(assert_problem(response, 422)) == {"body:/extra/key"}


def test_create_conversation_keeps_similar_text(owner: httpx.Client) -> None:
    for text in ('"\\ud83d\\ude00"', '"\\\\u0000"', '"\\uffff\\ufeff"', '"\\u0001"'):
        content = f'{{"metadata": {{"a": {text}}}}}'
        response = owner.post("/conversations", content=content, headers=JSON)

        assert response.status_code == 201, (text, response.text)
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


NUMBER_PLACES = {
    '{"metadata": {"a": [%s]}}': "/metadata/a/0",
    '{"title": %s}': "/title",
    '{"extra": %s}': "/extra",
    '{"metadata": {"a\\u0000b": %s}}': "/metadata",
    '{"metadata": {"a\\ud800b": %s}}': "/metadata",
}


@pytest.mark.parametrize("number", TOO_LARGE.values(), ids=TOO_LARGE)
def test_create_conversation_refuses_too_large_numbers_anywhere(
    owner: httpx.Client, number: object
) -> None:
    for document, pointer in NUMBER_PLACES.items():
        with case(document):
            response = owner.post("/conversations", content=document % number, headers=JSON)

            found = places(assert_problem(response, 422))
            assert f"body:{pointer}" in found
            assert len(found) <= 2


def test_create_conversation_keeps_numbers_that_fit(owner: httpx.Client) -> None:
    """Like most JSON readers, orjson reads an integer over 64 bits as a double."""
    for number in (2**64 - 1, -(2**63), 2**53 + 1, 1e308, 5e-324, 0.1, -0.0, 1e22, 123456789.125):
        made = owner.post("/conversations", json={"metadata": {"number": number}})

        assert made.status_code == 201, (number, made.text)
        again = owner.get(made.headers["location"], params={"include_messages": False})
        for response in (made, again):
            assert orjson.loads(response.content)["metadata"] == {"number": number}


def nested(levels: int, innermost: str = "") -> str:
    """Return a body with this many levels; the body and metadata are two of them."""
    return '{"metadata": {"a": ' + "[" * (levels - 2) + innermost + "]" * (levels - 2) + "}}"


def test_create_conversation_keeps_100_levels(owner: httpx.Client) -> None:
    for innermost in ("", "1", '"text"', '"\\u0041"'):
        document = nested(100, innermost)

        made = owner.post("/conversations", content=document, headers=JSON)

        assert made.status_code == 201, (innermost, made.text)
        again = owner.get(made.headers["location"])
        assert again.json()["metadata"] == json.loads(document)["metadata"]
        assert owner.get("/conversations").status_code == 200


@pytest.mark.parametrize("innermost", ["", "1"])
def test_create_conversation_refuses_more_than_100_levels(
    owner: httpx.Client, innermost: str
) -> None:
    for levels in (101, 102, 128, 129, 500, 1024, 1025, 2000, 100_000):
        with case(levels):
            response = owner.post("/conversations", content=nested(levels, innermost), headers=JSON)

            problem = assert_problem(response, 422)
            assert {error["in"] for error in problem["errors"]} == {"body"}
            assert len(response.content) < 10_000


def test_create_conversation_refuses_100_000_unclosed_levels(owner: httpx.Client) -> None:
    for opening in ("[", '{"a":', '[{"a":'):
        with case(opening):
            response = owner.post("/conversations", content=opening * 100_000, headers=JSON)

            assert response.status_code in (400, 422)
            assert_problem(response, response.status_code)


def test_create_conversation_uses_the_last_of_two_equal_keys(owner: httpx.Client) -> None:
    response = owner.post("/conversations", content='{"title": "a", "title": "b"}', headers=JSON)

    assert response.json()["title"] == "b"


def test_create_conversation_accepts_a_double_without_exponent(owner: httpx.Client) -> None:
    """A browser writes 1e20 with 21 digits, and older servers returned all digits."""
    for number in (1e20, 1e22, 1.7976931348623157e308, -(2.0**70), 2.0**64):
        body = f'{{"metadata": {{"number": {Decimal(repr(number)):f}}}}}'
        made = owner.post("/conversations", content=body, headers=JSON)

        assert made.status_code == 201, (number, made.text)
        assert made.json()["metadata"] == {"number": number}
