"""ETag, If-Match and If-None-Match: who reads again learns what is new, who writes loses nothing.

What holds for every operation is made from the contract; RFC 9110 sections 8.8.3 and 13 say what.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests.calls import (
    Json,
    at_once,
    create,
    new_conversation,
    new_run,
    read,
    refusals,
)
from tests.contract import (
    NOWHERE,
    OPERATIONS,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    name_of,
)
from tests.servers import Server

SETTINGS = "/users/me/chat-settings"
STALE = '"3aef6c0697443b24b4506aedf9c2de7b"'
"""The tag of the contract's examples, which nothing here has."""


def takes(header: str) -> list[Operation]:
    """Return the operations that the contract gives `header`."""
    return [o for o in OPERATIONS if header in {part["name"] for part in o.parameters}]


READING, CHANGING = takes("If-None-Match"), takes("If-Match")
EVERY_READING = pytest.mark.parametrize("operation", READING, ids=name_of)
EVERY_CHANGING = pytest.mark.parametrize("operation", CHANGING, ids=name_of)
EVERY_CHANGING_ON_A_ROW = pytest.mark.parametrize(
    "operation", [o for o in CHANGING if o.names], ids=name_of
)


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind, alice's."""
    return make_rows(alice)


def reader_of(operation: Operation) -> Operation:
    """Return the operation that reads what this one changes."""
    return next(o for o in READING if o.path == operation.path)


def test_the_contract_gives_every_row_a_way_to_read_and_change_it_by_its_tag() -> None:
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
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "known", ["{}", "W/{}", '"a", {}', ',W/"b" ,,\t{} , "c"', "*"], ids=["", "weak", "2", "4", "*"]
)
def test_every_read_of_what_is_known_is_a_304_without_a_body(
    operation: Operation, method: str, known: str, alice: httpx.Client, rows: Rows
) -> None:
    tag = operation.send(alice, rows).headers["etag"]

    headers = {"If-None-Match": known.format(tag)}
    again = operation.send(alice, rows, method=method, headers=headers)

    assert again.status_code == 304
    assert again.headers["etag"] == tag
    assert again.headers["x-request-id"]
    assert again.content == b""
    assert not {"content-type", "content-length", "transfer-encoding"} & again.headers.keys()
    # The connection is still in step: what follows is an answer of its own.
    assert operation.send(alice, rows).headers["etag"] == tag


@EVERY_READING
def test_every_read_of_what_is_not_known_is_the_whole_answer(
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
def test_two_lines_of_if_none_match_are_one_list(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    tag = operation.send(alice, rows).headers["etag"]

    lines = [("If-None-Match", STALE), ("If-None-Match", tag)]

    assert operation.send(alice, rows, headers=lines).status_code == 304
    assert operation.send(alice, rows, headers=lines[:1]).status_code == 200


@EVERY_READING
def test_if_none_match_opens_no_row(
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
def test_every_change_by_the_tag_that_it_has_is_made(
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
@pytest.mark.parametrize(
    "sent", [STALE, f'{STALE}, "a"', "W/{}", '""'], ids=["1", "2", "weak", "empty"]
)
def test_every_change_by_another_tag_is_a_412_and_changes_nothing(
    operation: Operation, sent: str, alice: httpx.Client, rows: Rows
) -> None:
    before = reader_of(operation).send(alice, rows)

    headers = {"If-Match": sent.format(before.headers["etag"])}
    response = operation.send(alice, rows, headers=headers)

    problem = assert_problem(response, 412)
    assert problem["type"] == "/problems/precondition-failed"
    after = reader_of(operation).send(alice, rows)
    assert (after.status_code, after.content) == (200, before.content)


@EVERY_CHANGING
def test_every_change_that_changes_nothing_is_checked_too(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    options: Json = {"json": {}} if operation.has_body else {}

    response = operation.send(alice, rows, headers={"If-Match": STALE}, **options)

    assert_problem(response, 412)


@EVERY_CHANGING
def test_two_lines_of_if_match_are_one_list(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    tag = reader_of(operation).send(alice, rows).headers["etag"]

    lines = [("If-Match", STALE), ("If-Match", tag)]

    assert_problem(operation.send(alice, rows, headers=lines[:1]), 412)
    assert operation.send(alice, rows, headers=lines).status_code == operation.success


@EVERY_CHANGING_ON_A_ROW
@pytest.mark.parametrize("sent", ["*", STALE])
def test_if_match_opens_no_row(
    operation: Operation, sent: str, alice: httpx.Client, bob: httpx.Client, rows: Rows
) -> None:
    before = reader_of(operation).send(alice, rows)

    assert_problem(operation.send(bob, rows, headers={"If-Match": sent}), 403)
    nobodys = dict.fromkeys(rows, NOWHERE)
    assert_problem(operation.send(alice, nobodys, headers={"If-Match": sent}), 404)
    assert reader_of(operation).send(alice, rows).content == before.content


@EVERY_CHANGING
def test_everything_else_is_checked_before_the_tag(
    operation: Operation, alice: httpx.Client, anonymous: httpx.Client, rows: Rows
) -> None:
    stale = {"If-Match": STALE}

    assert_problem(operation.send(anonymous, rows, headers=stale), 401)
    if operation.has_body:
        no_json = stale | {"Content-Type": "application/json"}
        assert_problem(operation.send(alice, rows, headers=no_json, content="{"), 400)
        assert_problem(operation.send(alice, rows, headers=stale, json=[]), 422)


def test_update_run_by_a_stale_tag_is_a_412_also_where_the_move_is_forbidden(
    alice: httpx.Client,
) -> None:
    run = new_run(alice)
    path = f"/runs/{run['id']}"
    ended = alice.patch(path, json={"status": "cancelled"})

    back = {"status": "running"}
    assert_problem(alice.patch(path, json=back, headers={"If-Match": STALE}), 412)
    tag = {"If-Match": ended.headers["etag"]}
    assert_problem(alice.patch(path, json=back, headers=tag), 409)


NO_LISTS = ["", "a", '"a', 'w/"a"', 'W/ "a"', "'a'", '"a b"', '"a" "b"', '*, "a"', "**", ",", '"é"']


@pytest.mark.parametrize("operation", [*READING, *CHANGING], ids=name_of)
def test_what_is_no_list_of_tags_is_refused(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    name = "If-None-Match" if operation in READING else "If-Match"

    for value in [*NO_LISTS, '"' + "a" * 5000 + '"']:
        header = (name.encode(), value.encode())
        response = operation.send(alice, rows, headers=[header])
        assert refusals(response) == {("header", f"/{name}")}, value[:9]


def test_if_match_on_a_read_and_if_none_match_on_a_change_are_ignored(
    alice: httpx.Client, rows: Rows
) -> None:
    for operation in READING:
        response = operation.send(alice, rows, headers={"If-Match": STALE})
        assert response.status_code == 200
    for operation in sorted(CHANGING, key=lambda o: o.method == "DELETE"):
        response = operation.send(alice, rows, headers={"If-None-Match": "*"})
        assert response.status_code == operation.success


# Several writers

WRITERS = 4
ADDITIONS = 8


def the_same(server: Server, user_id: str, count: int, stack: ExitStack) -> list[httpx.Client]:
    return [stack.enter_context(server.client(user_id)) for _ in range(count)]


def add_one(client: httpx.Client, method: str, path: str, change: Callable[[Json], Json]) -> int:
    """Change what is at `path` until nobody else was first; return how often somebody was."""
    for failures in range(1000):
        now = client.get(path)
        headers = {"If-Match": now.headers["etag"]}
        response = client.request(method, path, json=change(now.json()), headers=headers)
        if response.status_code == 200:
            return failures
        assert_problem(response, 412)
    raise AssertionError("somebody else was first a thousand times")


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
def test_writers_in_a_loop_lose_no_update(
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
        writers = the_same(server, user_id, WRITERS, stack)

        def write(client: httpx.Client) -> int:
            return sum(add_one(client, method, path, change) for _ in range(ADDITIONS))

        failures = at_once([partial(write, client) for client in writers])

    with server.client(user_id) as reader:  # a new connection: the server ends idle ones
        assert count(read(reader, path)) == WRITERS * ADDITIONS
    assert sum(failures) > 0, "nobody was in anybody's way, so this has shown nothing"


def test_of_many_who_save_the_first_settings_by_the_tag_of_the_defaults_one_does(
    alice: httpx.Client, server: Server
) -> None:
    unsaved = alice.get(SETTINGS)
    headers = {"If-Match": unsaved.headers["etag"]}
    with ExitStack() as stack:
        writers = the_same(server, unsaved.json()["user_id"], WRITERS, stack)

        def save(number: int) -> httpx.Response:
            body = {"model": f"model-{number}"}
            return writers[number].put(SETTINGS, json=body, headers=headers)

        answers = at_once([partial(save, number) for number in range(WRITERS)])

    (won,) = [answer for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers].count(412) == WRITERS - 1
    assert read(alice, SETTINGS) == won.json()


def test_a_412_for_the_first_settings_saves_none(alice: httpx.Client) -> None:
    before = read(alice, SETTINGS)

    assert_problem(alice.put(SETTINGS, json={"model": "m"}, headers={"If-Match": STALE}), 412)

    assert before["id"] is None
    assert read(alice, SETTINGS) == before
    saved = alice.put(SETTINGS, json={"model": "m"}, headers={"If-Match": "*"})
    assert saved.json()["model"] == "m"


def test_of_a_delete_and_a_message_at_once_the_message_is_not_deleted_unseen(
    alice: httpx.Client, server: Server
) -> None:
    user_id = read(alice, SETTINGS)["user_id"]
    with server.client(user_id) as other:
        for _ in range(10):
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
