"""Every list refuses cursors that the server did not create."""

import base64
import json
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
    name_of,
    places,
)
from tests.protocol.cases import PROPERTY, case

LISTS = [o for o in OPERATIONS if any(part["name"] == "cursor" for part in o.parameters)]
EVERY_LIST = pytest.mark.parametrize("operation", LISTS, ids=name_of)


def forge(value: Any) -> str:
    """Return a cursor in the format of the server, with any JSON value."""
    return base64_of(json.dumps(value).encode())


def base64_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


A_TIME = "2026-03-02T09:14:03.412907Z"
KEYS: list[Any] = [
    None,
    "",
    [],
    {},
    [-1],
    [True],
    [1.5],
    [2**63],
    [2**64],
    [A_TIME],
    [A_TIME, NOWHERE, 1],
    [A_TIME, "not-a-uuid"],
    ["yesterday", NOWHERE],
    ["2026-13-45T99:99:99.999999Z", NOWHERE],
    ["2026-02-30T00:00:00.000000Z", NOWHERE],
    ["2026-06-30T24:00:00.000001Z", NOWHERE],
    ["0000-01-01T00:00:00.000000Z", NOWHERE],
    ["\u0662\u0660\u0662\u0666-03-02T09:14:03.412907Z", NOWHERE],
    [A_TIME, [NOWHERE]],
    [A_TIME + "\0", NOWHERE],
]


@EVERY_LIST
def test_forged_cursor_is_a_422(operation: Operation, owner: httpx.Client, kept_rows: Rows) -> None:
    """The orders are those of the lists, so that in these only the key is wrong."""
    other = [None, 1, {}, [], "ab", {"a": 1, "b": 2}, ["asc"], ["asc", [1], 2], [None, [1]]]
    for value in [*([order, key] for order in ("asc", "created_at desc") for key in KEYS), *other]:
        with case(value):
            response = operation.send(owner, kept_rows, params={"cursor": forge(value)})

            assert places(assert_problem(response, 422)) == {"query:/cursor"}


@EVERY_LIST
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(base64_of))
@PROPERTY
def test_any_other_text_as_cursor_is_a_422(
    operation: Operation, owner: httpx.Client, kept_rows: Rows, text: str
) -> None:
    try:
        query = "cursor=" + quote(text)
    except UnicodeEncodeError:
        return

    response = operation.send(owner, kept_rows, query=query)

    assert places(assert_problem(response, 422)) == {"query:/cursor"}


def test_contract_has_lists() -> None:
    """Without them the tests above would test nothing."""
    assert len(LISTS) >= 3
