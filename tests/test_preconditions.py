"""ETag, If-Match and If-None-Match (RFC 9110 sections 8.8.3 and 13) on every operation."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import product

import httpx
import pytest

from tests.calls import Json, at_once, attempts, create, new_conversation, new_run, read, refusals
from tests.contract import NOWHERE, OPERATIONS, Operation, Rows, assert_problem, make_rows, name_of
from tests.servers import Server

SETTINGS = "/users/me/chat-settings"
STALE = '"3aef6c0697443b24b4506aedf9c2de7b"'
"""The tag in the contract's examples; no row of these tests has it."""


def with_header(header: str) -> list[Operation]:
    """Return the operations that accept `header`."""
    return [o for o in OPERATIONS if header in {part["name"] for part in o.parameters}]


READING, CHANGING = with_header("If-None-Match"), with_header("If-Match")
EVERY_READING = pytest.mark.parametrize("operation", READING, ids=name_of)
EVERY_CHANGING = pytest.mark.parametrize("operation", CHANGING, ids=name_of)


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind, alice's."""
    return make_rows(alice)


def reader_of(operation: Operation) -> Operation:
    """Return the operation that reads what this one changes."""
    return next(o for o in READING if o.path == operation.path)


def test_every_row_has_operations_with_preconditions() -> None:
    assert {o.operation_id for o in READING} == {
        "get_conversation",
        "get_message",
        "get_run",
        "get_chat_settings",
    }
    assert {o.operation_id for o in CHANGING} == {
        "update_conversation",
        "delete_conversation",
        "update_run",
        "update_chat_settings",
    }


# Reading


@EVERY_READING
def test_matching_if_none_match_returns_304_without_a_body(
    operation: Operation, alice: httpx.Client, rows: Rows, subtests: pytest.Subtests
) -> None:
    tag = operation.send(alice, rows).headers["etag"]
    lists = ["{}", "W/{}", '"a", {}', ',W/"b" ,,\t{} , "c"', "*"]

    for method, known in product(["GET", "HEAD"], lists):
        with subtests.test(method, known=known):
            headers = {"If-None-Match": known.format(tag)}
            again = operation.send(alice, rows, method=method, headers=headers)
            assert again.status_code == 304
            assert again.headers["etag"] == tag
            assert again.headers["x-request-id"]
            assert again.content == b""
            absent = {"content-type", "content-length", "transfer-encoding"}
            assert not absent & again.headers.keys()
            # The next response on this connection is complete.
            assert operation.send(alice, rows).headers["etag"] == tag


@EVERY_READING
def test_other_tags_in_if_none_match_return_the_full_response(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    first = operation.send(alice, rows)

    known = {"If-None-Match": f'{STALE}, W/"{first.headers["etag"][1:9]}"'}
    again = operation.send(alice, rows, headers=known)
    head = operation.send(alice, rows, headers=known, method="HEAD")

    assert (again.status_code, again.content) == (200, first.content)
    assert (head.status_code, head.content) == (200, b"")
    assert {r.headers["etag"] for r in (first, again, head)} == {first.headers["etag"]}


@EVERY_READING
def test_repeated_if_none_match_headers_form_one_list(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    tag = operation.send(alice, rows).headers["etag"]

    lines = [("If-None-Match", STALE), ("If-None-Match", tag)]

    assert operation.send(alice, rows, headers=lines).status_code == 304
    assert operation.send(alice, rows, headers=lines[:1]).status_code == 200


@EVERY_READING
def test_if_none_match_grants_no_access(
    operation: Operation,
    alice: httpx.Client,
    bob: httpx.Client,
    anonymous: httpx.Client,
    rows: Rows,
) -> None:
    known = {"If-None-Match": operation.send(alice, rows).headers["etag"]}
    nobodys = dict.fromkeys(rows, NOWHERE)

    assert_problem(operation.send(anonymous, rows, headers=known), 401)
    if operation.names:
        assert_problem(operation.send(bob, rows, headers=known), 403)
        assert_problem(operation.send(alice, nobodys, headers=known), 404)
    else:
        assert operation.send(bob, rows, headers=known).status_code == 200


# Changing


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
    operation: Operation, alice: httpx.Client, rows: Rows, subtests: pytest.Subtests
) -> None:
    before = reader_of(operation).send(alice, rows)
    empty: Json = {"json": {}} if operation.has_body else {}

    for sent in (STALE, f'{STALE}, "a"', "W/{}", '""'):
        for options in ({}, empty):
            with subtests.test(sent, **options):
                headers = {"If-Match": sent.format(before.headers["etag"])}
                response = operation.send(alice, rows, headers=headers, **options)
                problem = assert_problem(response, 412)
                assert problem["type"] == "/problems/precondition-failed"
                after = reader_of(operation).send(alice, rows)
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
    operation: Operation, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    before = reader_of(operation).send(alice, rows)

    for sent in ("*", STALE):
        assert_problem(operation.send(bob, rows, headers={"If-Match": sent}), 403)
        nobodys = dict.fromkeys(rows, NOWHERE)
        assert_problem(operation.send(alice, nobodys, headers={"If-Match": sent}), 404)
    assert reader_of(operation).send(alice, rows).content == before.content


@EVERY_CHANGING
def test_if_match_is_checked_after_token_and_body(
    operation: Operation, alice: httpx.Client, anonymous: httpx.Client, rows: Rows
) -> None:
    stale = {"If-Match": STALE}

    assert_problem(operation.send(anonymous, rows, headers=stale), 401)
    if operation.has_body:
        no_json = stale | {"Content-Type": "application/json"}
        assert_problem(operation.send(alice, rows, headers=no_json, content="{"), 400)
        assert_problem(operation.send(alice, rows, headers=stale, json=[]), 422)


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
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    name = "If-None-Match" if operation in READING else "If-Match"

    for value in [*NOT_LISTS, '"' + "a" * 5000 + '"']:
        header = (name.encode(), value.encode())
        response = operation.send(alice, rows, headers=[header])
        assert refusals(response) == {("header", f"/{name}")}, value[:9]


def test_if_match_on_reads_and_if_none_match_on_changes_are_ignored(
    alice: httpx.Client, rows: Rows
) -> None:
    for operation in READING:
        response = operation.send(alice, rows, headers={"If-Match": STALE})
        assert response.status_code == 200
    for operation in sorted(CHANGING, key=lambda o: o.method == "DELETE"):
        response = operation.send(alice, rows, headers={"If-None-Match": "*"})
        assert response.status_code == operation.success


# Concurrent writers

WRITERS = 4
ADDITIONS = 8


def clients_of(server: Server, user_id: str, count: int, stack: ExitStack) -> list[httpx.Client]:
    return [stack.enter_context(server.client(user_id)) for _ in range(count)]


def add_one(client: httpx.Client, method: str, path: str, change: Callable[[Json], Json]) -> int:
    """Retry the change until the tag matches; return the number of failed attempts."""
    for failures in range(1000):
        now = client.get(path)
        headers = {"If-Match": now.headers["etag"]}
        response = client.request(method, path, json=change(now.json()), headers=headers)
        if response.status_code == 200:
            return failures
        assert_problem(response, 412)
    raise AssertionError("the tag did not match a thousand times")


def add_to_metadata(now: Json) -> Json:
    return {"metadata": {"count": (now["metadata"] or {"count": 0})["count"] + 1}}


def add_to_output(now: Json) -> Json:
    return {"output": {"count": (now["output"] or {"count": 0})["count"] + 1}}


def add_to_tools(now: Json) -> Json:
    return {"enabled_tools": [*now["enabled_tools"], f"tool-{len(now['enabled_tools'])}"]}


@pytest.mark.parametrize(
    ("method", "make", "change", "count"),
    [
        (
            "PATCH",
            lambda client: f"/conversations/{new_conversation(client)['id']}",
            add_to_metadata,
            lambda now: now["metadata"]["count"],
        ),
        (
            "PATCH",
            lambda client: f"/runs/{new_run(client)['id']}",
            add_to_output,
            lambda now: now["output"]["count"],
        ),
        ("PUT", lambda client: SETTINGS, add_to_tools, lambda now: len(now["enabled_tools"])),
    ],
    ids=["conversation", "run", "settings"],
)
def test_writers_that_retry_lose_no_update(
    method: str,
    make: Callable[[httpx.Client], str],
    change: Callable[[Json], Json],
    count: Callable[[Json], int],
    alice: httpx.Client,
    server: Server,
) -> None:
    user_id = read(alice, SETTINGS)["user_id"]
    path = make(alice)
    with ExitStack() as stack:
        writers = clients_of(server, user_id, WRITERS, stack)

        def write(client: httpx.Client) -> int:
            return sum(add_one(client, method, path, change) for _ in range(ADDITIONS))

        failures = at_once([partial(write, client) for client in writers])

    with server.client(user_id) as reader:  # a new connection: the server ends idle ones
        assert count(read(reader, path)) == WRITERS * ADDITIONS
    assert sum(failures) > 0, "the writers never conflicted, so this test shows nothing"


def test_update_chat_settings_by_the_tag_of_the_defaults_succeeds_once(
    alice: httpx.Client, server: Server
) -> None:
    unsaved = alice.get(SETTINGS)
    headers = {"If-Match": unsaved.headers["etag"]}
    with ExitStack() as stack:
        writers = clients_of(server, unsaved.json()["user_id"], WRITERS, stack)

        def save(number: int) -> httpx.Response:
            body = {"model": f"model-{number}"}
            return writers[number].put(SETTINGS, json=body, headers=headers)

        answers = at_once([partial(save, number) for number in range(WRITERS)])

    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers].count(412) == WRITERS - 1
    assert read(alice, SETTINGS) == won.json()


def test_update_chat_settings_rejected_by_if_match_saves_nothing(alice: httpx.Client) -> None:
    before = read(alice, SETTINGS)

    assert_problem(alice.put(SETTINGS, json={"model": "m"}, headers={"If-Match": STALE}), 412)

    assert before["id"] is None
    assert read(alice, SETTINGS) == before
    saved = alice.put(SETTINGS, json={"model": "m"}, headers={"If-Match": "*"})
    assert saved.json()["model"] == "m"


def test_delete_conversation_by_tag_keeps_a_message_posted_meanwhile(
    alice: httpx.Client, server: Server
) -> None:
    user_id = read(alice, SETTINGS)["user_id"]
    with server.client(user_id) as other:
        for _ in range(attempts(3, 10)):
            conversation = create(alice, "/conversations")
            path = f"/conversations/{conversation['id']}"
            headers = {"If-Match": alice.get(path).headers["etag"]}
            message = {"role": "user", "content": "Wait!"}

            deleted, said = at_once(
                [
                    partial(alice.delete, path, headers=headers),
                    partial(other.post, f"{path}/messages", json=message),
                ]
            )

            assert (deleted.status_code, said.status_code) in {(204, 404), (412, 201)}
