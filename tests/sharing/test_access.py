"""Every operation on a shared conversation, as each kind of user.

The cases follow from the contract: an operation that is added and not listed here is refused to
members.
"""

import httpx
import pytest

from tests.contract import ON_ROWS, OPERATIONS, Rows, assert_problem, make_rows
from tests.sharing.members import NewClient, share, unshare, user_of
from tests.test_relations import everything_of
from tests.tokens import SETTINGS

FOR_VIEWERS = {
    *("get_conversation", "list_messages", "get_message", "list_run_events"),
    *("stream_run_events", "list_shares", "mark_conversation_read", "list_message_versions"),
    *("set_feedback", "delete_feedback", "fork_conversation"),
}
# An editor may also call update_message, but only for what they have posted.
FOR_EDITORS = FOR_VIEWERS | {"create_message", "activate_message"}
USERS = ("viewer", "editor", "former viewer", "former editor", "stranger")
SECRETS = ("alices-model", "alices-tool", "alices-input", "alices-other")


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """A shared conversation with one row of each kind, and things that are not shared."""
    saved = alice.put(SETTINGS, json={"model": "alices-model", "enabled_tools": ["alices-tool"]})
    assert saved.status_code == 200
    rows = make_rows(alice)
    assert alice.post("/conversations", json={"title": "alices-other"}).status_code == 201
    new = {"agent_id": "a", "conversation_id": rows["conversation_id"], "status": "running"}
    run = alice.post("/runs", json=new | {"input": {"secret": "alices-input"}}).json()["id"]
    alice.patch(f"/runs/{run}", json={"status": "succeeded"})
    return rows | {"run_id": run}


def joined(kind: str, owner: httpx.Client, rows: Rows, new_client: NewClient) -> httpx.Client:
    """Return the client of a new user who is, or was, a member of the conversation of `rows`."""
    client = new_client()
    *former, role = kind.split()
    if role != "stranger":
        share(owner, rows["conversation_id"], client, role)
    if former:
        assert unshare(owner, rows["conversation_id"], client).status_code == 204
    return client


def test_operations_for_members_exist() -> None:
    assert {operation.operation_id for operation in ON_ROWS} >= FOR_EDITORS


@pytest.mark.parametrize("kind", USERS)
def test_members_may_use_what_their_role_allows(
    kind: str,
    alice: httpx.Client,
    rows: Rows,
    new_client: NewClient,
    subtests: pytest.Subtests,
) -> None:
    client = joined(kind, alice, rows, new_client)
    allowed = {"viewer": FOR_VIEWERS, "editor": FOR_EDITORS}.get(kind, set())
    before = everything_of(alice, rows)

    for operation in ON_ROWS:
        with subtests.test(operation=operation.operation_id):
            response = operation.send(client, rows, whole=True)
            if operation.operation_id in allowed:
                assert response.status_code == operation.success, response.text
            else:
                assert assert_problem(response, 403)["type"] == "/problems/forbidden"
            assert not [secret for secret in SECRETS if secret in response.text]

    assert (everything_of(alice, rows) == before) is (kind != "editor")


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_membership_does_not_open_other_rows_of_the_owner(
    role: str,
    alice: httpx.Client,
    rows: Rows,
    new_client: NewClient,
    subtests: pytest.Subtests,
) -> None:
    client = joined(role, alice, rows, new_client)
    others = make_rows(alice)
    before = everything_of(alice, others)

    for operation in ON_ROWS:
        for name in {*operation.names} - {"user_id"}:
            with subtests.test(operation=operation.operation_id, name=name):
                response = operation.send(client, rows | {name: others[name]})
                assert_problem(response, 403)

    assert everything_of(alice, others) == before


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_operations_without_rows_show_nothing_of_the_owner(
    role: str, alice: httpx.Client, rows: Rows, new_client: NewClient
) -> None:
    client = joined(role, alice, rows, new_client)

    for operation in OPERATIONS:
        if operation.secured and not operation.names and operation.method == "GET":
            response = operation.send(client, rows)
            if not operation.is_stream:
                assert not [secret for secret in SECRETS if secret in response.text]
    assert (
        client.get("/runs", params={"conversation_id": rows["conversation_id"]}).json()["total"]
        == 0
    )


@pytest.mark.parametrize("kind", USERS)
def test_reference_to_a_shared_conversation_or_run_is_refused(
    kind: str, alice: httpx.Client, rows: Rows, new_client: NewClient
) -> None:
    client = joined(kind, alice, rows, new_client)
    own = client.post("/conversations", json={}).json()["id"]
    message = {"role": "user", "content": "Hello", "run_id": rows["run_id"]}

    new_run = {"agent_id": "a", "conversation_id": rows["conversation_id"]}
    assert_problem(client.post("/runs", json=new_run), 422)
    assert_problem(client.post(f"/conversations/{own}/messages", json=message), 422)
    if kind == "editor":
        path = f"/conversations/{rows['conversation_id']}/messages"
        own_run = client.post("/runs", json={"agent_id": "a"}).json()["id"]
        for run_id in (rows["run_id"], own_run):
            assert_problem(client.post(path, json=message | {"run_id": run_id}), 422)


@pytest.mark.parametrize("kind", ["viewer", "editor"])
def test_unshare_conversation_lets_members_remove_only_themselves(
    kind: str, alice: httpx.Client, rows: Rows, new_client: NewClient
) -> None:
    client = joined(kind, alice, rows, new_client)

    assert_problem(unshare(client, rows["conversation_id"], rows["user_id"]), 403)
    assert_problem(unshare(client, rows["conversation_id"], alice), 403)
    assert unshare(client, rows["conversation_id"], client).status_code == 204

    assert_problem(client.get(f"/conversations/{rows['conversation_id']}"), 403)
    members = alice.get(f"/conversations/{rows['conversation_id']}/shares").json()["shares"]
    assert [share["user_id"] for share in members] == [rows["user_id"]]
    assert_problem(unshare(client, rows["conversation_id"], client), 403)


def test_get_conversation_tells_members_their_role_and_the_owner(
    alice: httpx.Client, rows: Rows, new_client: NewClient
) -> None:
    client = joined("viewer", alice, rows, new_client)

    found = client.get(f"/conversations/{rows['conversation_id']}").json()

    assert (found["user_id"], found["shared_by"]) == (user_of(alice), user_of(alice))
    assert found["role"] == "viewer"
