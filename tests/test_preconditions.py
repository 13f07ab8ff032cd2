"""ETag, If-Match and If-None-Match (RFC 9110 sections 8.8.3 and 13) on every operation."""

from itertools import product

import httpx
import pytest

from tests.calls import Json, new_run, refusals
from tests.contract import (
    NOWHERE,
    OPERATIONS,
    Operation,
    Rows,
    assert_problem,
    containers_last,
    name_of,
)

SETTINGS = "/users/me/chat-settings"
STALE = '"3aef6c0697443b24b4506aedf9c2de7b"'
"""The tag in the contract's examples; no row of these tests has it."""


def with_header(header: str) -> list[Operation]:
    """Return the operations that accept `header`."""
    return [o for o in OPERATIONS if header in {part["name"] for part in o.parameters}]


READING, CHANGING = with_header("If-None-Match"), with_header("If-Match")
EVERY_READING = pytest.mark.parametrize("operation", READING, ids=name_of)
EVERY_CHANGING = pytest.mark.parametrize("operation", CHANGING, ids=name_of)


def reader_of(operation: Operation) -> Operation:
    """Return the operation that reads what this one changes."""
    return next(o for o in READING if o.path == operation.path)


def test_every_row_has_operations_with_preconditions() -> None:
    assert {o.operation_id for o in READING} == {
        "get_conversation",
        "get_message",
        "get_run",
        "get_chat_attachment",
        "get_chat_settings",
        "get_shared_conversation",
    }
    assert {o.operation_id for o in CHANGING} == {
        "update_conversation",
        "delete_conversation",
        "delete_message",
        "update_message",
        "update_run",
        "delete_chat_attachment",
        "update_chat_settings",
    }


@EVERY_READING
def test_matching_if_none_match_returns_304_without_a_body(
    operation: Operation, owner: httpx.Client, kept_rows: Rows, subtests: pytest.Subtests
) -> None:
    tag = operation.send(owner, kept_rows).headers["etag"]
    lists = ["{}", "W/{}", '"a", {}', ',W/"b" ,,\t{} , "c"', "*"]

    for method, known in product(["GET", "HEAD"], lists):
        with subtests.test(method, known=known):
            headers = {"If-None-Match": known.format(tag)}
            again = operation.send(owner, kept_rows, method=method, headers=headers)
            assert again.status_code == 304
            assert again.headers["etag"] == tag
            assert again.headers["x-request-id"]
            assert again.content == b""
            absent = {"content-type", "content-length", "transfer-encoding"}
            assert not absent & again.headers.keys()
            # The next response on this connection is complete.
            assert operation.send(owner, kept_rows).headers["etag"] == tag


@EVERY_READING
def test_other_tags_in_if_none_match_return_the_full_response(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    first = operation.send(owner, kept_rows)

    known = {"If-None-Match": f'{STALE}, W/"{first.headers["etag"][1:9]}"'}
    again = operation.send(owner, kept_rows, headers=known)
    head = operation.send(owner, kept_rows, headers=known, method="HEAD")

    assert (again.status_code, again.content) == (200, first.content)
    assert (head.status_code, head.content) == (200, b"")
    assert {r.headers["etag"] for r in (first, again, head)} == {first.headers["etag"]}


@EVERY_READING
def test_repeated_if_none_match_headers_form_one_list(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    tag = operation.send(owner, kept_rows).headers["etag"]

    lines = [("If-None-Match", STALE), ("If-None-Match", tag)]

    assert operation.send(owner, kept_rows, headers=lines).status_code == 304
    assert operation.send(owner, kept_rows, headers=lines[:1]).status_code == 200


@pytest.mark.parametrize("operation", [o for o in READING if o.secured], ids=name_of)
def test_if_none_match_grants_no_access(
    operation: Operation,
    owner: httpx.Client,
    bob: httpx.Client,
    anonymous: httpx.Client,
    kept_rows: Rows,
) -> None:
    known = {"If-None-Match": operation.send(owner, kept_rows).headers["etag"]}
    nobodys = dict.fromkeys(kept_rows, NOWHERE)

    assert_problem(operation.send(anonymous, kept_rows, headers=known), 401)
    if operation.names:
        assert_problem(operation.send(bob, kept_rows, headers=known), 403)
        assert_problem(operation.send(owner, nobodys, headers=known), 404)
    else:
        assert operation.send(bob, kept_rows, headers=known).status_code == 200


@EVERY_CHANGING
@pytest.mark.parametrize("sent", ["{}", '"a", {}', ',W/"b",, {},', "*"], ids=["1", "2", "4", "*"])
def test_matching_if_match_allows_the_change(
    operation: Operation, sent: str, alice: httpx.Client, rows: Rows
) -> None:
    before = reader_of(operation).send(alice, rows)

    headers = {"If-Match": sent.format(before.headers["etag"])}
    response = operation.send(alice, rows, headers=headers)

    assert response.status_code == operation.success, response.text
    after = reader_of(operation).send(alice, rows)
    assert after.headers.get("etag") != before.headers["etag"]
    assert after.headers.get("etag") == response.headers.get("etag")


@EVERY_CHANGING
def test_other_tags_in_if_match_return_412_and_change_nothing(
    operation: Operation, owner: httpx.Client, kept_rows: Rows, subtests: pytest.Subtests
) -> None:
    before = reader_of(operation).send(owner, kept_rows)
    empty: Json = {"json": {}} if operation.has_body else {}

    for sent in (STALE, f'{STALE}, "a"', "W/{}", '""'):
        for options in ({}, empty):
            with subtests.test(sent, **options):
                headers = {"If-Match": sent.format(before.headers["etag"])}
                response = operation.send(owner, kept_rows, headers=headers, **options)
                problem = assert_problem(response, 412)
                assert problem["type"] == "/problems/precondition-failed"
                after = reader_of(operation).send(owner, kept_rows)
                assert (after.status_code, after.content) == (200, before.content)


@EVERY_CHANGING
def test_repeated_if_match_headers_form_one_list(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    tag = reader_of(operation).send(alice, rows).headers["etag"]

    lines = [("If-Match", STALE), ("If-Match", tag)]

    assert_problem(operation.send(alice, rows, headers=lines[:1]), 412)
    assert operation.send(alice, rows, headers=lines).status_code == operation.success


@pytest.mark.parametrize("operation", [o for o in CHANGING if o.names], ids=name_of)
def test_if_match_grants_no_access(
    operation: Operation, owner: httpx.Client, bob: httpx.Client, kept_rows: Rows
) -> None:
    before = reader_of(operation).send(owner, kept_rows)

    for sent in ("*", STALE):
        assert_problem(operation.send(bob, kept_rows, headers={"If-Match": sent}), 403)
        nobodys = dict.fromkeys(kept_rows, NOWHERE)
        assert_problem(operation.send(owner, nobodys, headers={"If-Match": sent}), 404)
    assert reader_of(operation).send(owner, kept_rows).content == before.content


@EVERY_CHANGING
def test_if_match_is_checked_after_token_and_body(
    operation: Operation, owner: httpx.Client, anonymous: httpx.Client, kept_rows: Rows
) -> None:
    stale = {"If-Match": STALE}

    assert_problem(operation.send(anonymous, kept_rows, headers=stale), 401)
    if operation.has_body:
        no_json = stale | {"Content-Type": "application/json"}
        assert_problem(operation.send(owner, kept_rows, headers=no_json, content="{"), 400)
        assert_problem(operation.send(owner, kept_rows, headers=stale, json=[]), 422)


def test_update_run_checks_if_match_before_the_status_change(
    alice: httpx.Client,
) -> None:
    run = new_run(alice)
    path = f"/runs/{run['id']}"
    ended = alice.patch(path, json={"status": "cancelled"})

    back = {"status": "running"}
    assert_problem(alice.patch(path, json=back, headers={"If-Match": STALE}), 412)
    tag = {"If-Match": ended.headers["etag"]}
    assert_problem(alice.patch(path, json=back, headers=tag), 409)


@pytest.mark.parametrize("operation", [*READING, *CHANGING], ids=name_of)
@pytest.mark.parametrize("opaque", [b"\x80\xff", "ä€".encode(), b"a\xe9"], ids=str)
def test_tags_with_bytes_beyond_ascii_match_nothing(
    operation: Operation, opaque: bytes, alice: httpx.Client, rows: Rows
) -> None:
    """RFC 9110 section 8.8.3 allows obs-text in a tag, and a proxy may have made the tag."""
    reading = operation in READING
    name = b"If-None-Match" if reading else b"If-Match"
    current = reader_of(operation).send(alice, rows).headers["etag"].encode()

    for value in (b'"%b"' % opaque, b'W/"%b"' % opaque, b'"a", "%b"' % opaque):
        response = operation.send(alice, rows, headers=[(name, value)])
        assert response.status_code == (200 if reading else 412), response.text
    both = operation.send(alice, rows, headers=[(name, b'"%b",%b' % (opaque, current))])
    assert both.status_code == (304 if reading else operation.success)


NOT_LISTS = [
    "",
    "a",
    '"a',
    'w/"a"',
    'W/ "a"',
    "'a'",
    '"a b"',
    '"a" "b"',
    '*, "a"',
    "**",
    ",",
    '"é',
    "é",
]


@pytest.mark.parametrize("operation", [*READING, *CHANGING], ids=name_of)
def test_malformed_tag_lists_are_rejected(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    name = "If-None-Match" if operation in READING else "If-Match"

    for value in [*NOT_LISTS, '"' + "a" * 5000 + '"']:
        header = (name.encode(), value.encode())
        response = operation.send(owner, kept_rows, headers=[header])
        assert refusals(response) == {("header", f"/{name}")}, value[:9]


def test_if_match_on_reads_and_if_none_match_on_changes_are_ignored(
    alice: httpx.Client, rows: Rows
) -> None:
    for operation in READING:
        response = operation.send(alice, rows, headers={"If-Match": STALE})
        assert response.status_code == 200
    for operation in containers_last(CHANGING):
        response = operation.send(alice, rows, headers={"If-None-Match": "*"})
        assert response.status_code == operation.success
