"""Leases: every operation of the contract without a lease, and with each kind of wrong lease."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.calls import Json, create, messages_of, new_conversation, new_run, post_message, read
from tests.contract import (
    NOWHERE,
    OPERATIONS,
    SECURED,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    name_of,
)
from tests.workers import LEASE_SECONDS, SCOPE, Claim, NewWorker, Worker, claimed_run, new_agent

LEASED = [operation for operation in SECURED if operation.takes_lease]
OTHERS = [operation for operation in SECURED if not operation.takes_lease]


@pytest.fixture
def claim(alice: httpx.Client, worker: Worker, conversation: Json) -> Claim:
    """A run of Alice's conversation, claimed by the worker."""
    return claimed_run(alice, worker, conversation_id=conversation["id"])


def rows_of(claim: Claim) -> Rows:
    return {"run_id": claim.run["id"], "conversation_id": claim.run["conversation_id"]}


def send(operation: Operation, client: httpx.Client, rows: Rows, lease: str) -> httpx.Response:
    return operation.send(client, rows, headers={"Run-Lease": lease})


def test_leased_operations_are_those_on_the_run_and_its_conversation() -> None:
    assert {operation.operation_id for operation in LEASED} >= {
        *("get_run", "update_run", "heartbeat_run"),
        *("get_conversation", "list_messages", "create_message"),
    }
    assert {name for operation in LEASED for name in operation.names} == {
        "run_id",
        "conversation_id",
    }


@pytest.mark.parametrize("operation", LEASED, ids=name_of)
def test_worker_with_a_lease_acts_as_the_owner(
    operation: Operation, alice: httpx.Client, worker: Worker, claim: Claim
) -> None:
    response = send(operation, worker.client, rows_of(claim), claim.lease)

    assert response.status_code == operation.success
    if not operation.is_stream:
        document = response.json()
        assert document.get("user_id", document.get("created_by")) != worker.name


@pytest.mark.parametrize("operation", LEASED, ids=name_of)
def test_no_lease_is_refused(operation: Operation, worker: Worker, claim: Claim) -> None:
    response = operation.send(worker.client, rows_of(claim))

    assert assert_problem(response, 403)["type"] == "/problems/forbidden"


@pytest.mark.parametrize("operation", LEASED, ids=name_of)
def test_lease_of_another_run_is_refused(
    operation: Operation, alice: httpx.Client, worker: Worker, claim: Claim
) -> None:
    others = new_conversation(alice)
    other = claimed_run(alice, worker, conversation_id=others["id"])

    response = send(operation, worker.client, rows_of(claim), other.lease)

    assert assert_problem(response, 403)["type"] == "/problems/forbidden"
    assert read(alice, claim.path)["status"] == "running"


@pytest.mark.parametrize("operation", LEASED, ids=name_of)
def test_lease_of_another_worker_is_refused(
    operation: Operation, new_worker: NewWorker, claim: Claim
) -> None:
    response = send(operation, new_worker().client, rows_of(claim), claim.lease)

    assert assert_problem(response, 403)["type"] == "/problems/forbidden"


@pytest.mark.parametrize("operation", LEASED, ids=name_of)
def test_lease_with_the_owners_token_is_refused(
    operation: Operation, alice: httpx.Client, claim: Claim
) -> None:
    response = send(operation, alice, rows_of(claim), claim.lease)

    assert assert_problem(response, 403)["type"] == "/problems/forbidden"
    challenge = response.headers["www-authenticate"]
    assert challenge == f'Bearer error="insufficient_scope", scope="{SCOPE}"'


@pytest.mark.slow
def test_expired_lease_is_refused_by_every_operation(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    claim = claimed_run(
        alice, worker, conversation_id=conversation["id"], lease_seconds=LEASE_SECONDS
    )
    time.sleep(LEASE_SECONDS + 0.2)

    for operation in LEASED:
        response = send(operation, worker.client, rows_of(claim), claim.lease)
        problem = assert_problem(response, 403)
        assert problem["type"] == "/problems/lease-expired", operation.operation_id


def changed(lease: str, position: int) -> str:
    """Return the lease with another byte."""
    raw = bytearray(urlsafe_b64decode(lease + "=" * (-len(lease) % 4)))
    raw[position] ^= 1
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_nul(lease: str) -> str:
    """Return the lease with NUL at the end of the user."""
    raw = urlsafe_b64decode(lease + "=" * (-len(lease) % 4)) + bytes(1)
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


FORGERIES: list[Callable[[Claim], str]] = [
    lambda claim: "",
    lambda claim: "nonsense",
    lambda claim: with_nul(claim.lease),
    lambda claim: "é",
    lambda claim: claim.lease + "=",
    lambda claim: claim.lease * 20,
    lambda claim: claim.lease[:-1],
    *(lambda claim, p=position: changed(claim.lease, p) for position in (0, 2, 18, 40, -1)),
]


@pytest.mark.parametrize("operation", LEASED, ids=name_of)
def test_forged_leases_are_refused(operation: Operation, worker: Worker, claim: Claim) -> None:
    for forge in FORGERIES:
        response = operation.send(
            worker.client, rows_of(claim), headers=[(b"Run-Lease", forge(claim).encode())]
        )
        problem = assert_problem(response, 403)
        assert problem["type"] in ("/problems/forbidden", "/problems/lease-expired")
        assert claim.run["created_by"] not in response.text


@pytest.mark.parametrize("operation", OTHERS, ids=name_of)
def test_other_operations_refuse_leases(
    operation: Operation, alice: httpx.Client, worker: Worker, claim: Claim
) -> None:
    rows = make_rows(alice) | rows_of(claim)

    response = send(operation, worker.client, rows, claim.lease)

    assert assert_problem(response, 403)["type"] == "/problems/forbidden"


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if not o.secured], ids=name_of)
def test_open_operations_ignore_leases(
    operation: Operation, anonymous: httpx.Client, rows: Rows
) -> None:
    assert send(operation, anonymous, rows, "nonsense").status_code == 200


@pytest.mark.parametrize("operation", SECURED, ids=name_of)
def test_worker_without_a_lease_sees_no_users_data(
    operation: Operation, alice: httpx.Client, worker: Worker, rows: Rows
) -> None:
    body: Any = (
        {"json": {"agent_ids": [new_agent()]}} if operation.operation_id == "claim_run" else {}
    )

    response = operation.send(worker.client, rows, **body)

    assert response.status_code != 200 or not operation.names
    if operation.is_stream and response.status_code == 200:  # of the worker's own changes
        return
    assert not [value for value in rows.values() if value in response.text], response.text


def test_two_leases_are_refused(worker: Worker, claim: Claim) -> None:
    headers = [("Run-Lease", claim.lease), ("Run-Lease", claim.lease)]

    assert_problem(worker.client.get(claim.path, headers=headers), 403)


def test_lease_grants_nothing_else_of_its_owner(
    alice: httpx.Client, worker: Worker, claim: Claim, rows: Rows
) -> None:
    paths = [f"/runs/{rows['run_id']}", f"/conversations/{rows['conversation_id']}", "/runs"]
    paths += [f"/messages/{rows['message_id']}", "/users/me/chat-settings", "/conversations"]

    for path in paths:
        assert_problem(worker.client.get(path, headers=claim.headers), 403)


def test_messages_of_a_worker_can_name_only_its_run(
    alice: httpx.Client, worker: Worker, conversation: Json, claim: Claim
) -> None:
    other = new_run(alice)["id"]
    answer = {"role": "assistant", "content": "42"}

    for run_id in (other, NOWHERE):
        refused = worker.client.post(
            messages_of(conversation), json=answer | {"run_id": run_id}, headers=claim.headers
        )
        assert_problem(refused, 422)
    made = worker.client.post(
        messages_of(conversation),
        json=answer | {"run_id": claim.run["id"]},
        headers=claim.headers,
    )

    assert made.status_code == 201, made.text
    assert [row["id"] for row in read(alice, messages_of(conversation))["messages"]] == [
        made.json()["id"]
    ]


def test_idempotency_keys_of_worker_and_owner_are_apart(
    alice: httpx.Client, worker: Worker, conversation: Json, claim: Claim
) -> None:
    key = {"Idempotency-Key": "the-same-key"}
    path = messages_of(conversation)
    answer = {"role": "assistant", "content": "The worker's"}

    alices = alice.post(path, json={"role": "user", "content": "Alice's"}, headers=key)
    first, again = (
        worker.client.post(path, json=answer, headers=claim.headers | key) for _ in range(2)
    )

    assert alices.status_code == first.status_code == 201
    assert first.json()["content"] == "The worker's"
    assert again.json() == first.json()


def test_lease_without_a_conversation_opens_no_conversation(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    post_message(alice, conversation, "A secret")
    claim = claimed_run(alice, worker)

    response = worker.client.get(f"/conversations/{conversation['id']}", headers=claim.headers)

    assert "Secret" not in assert_problem(response, 403)["detail"]


def test_deleted_conversation_is_not_found_under_a_lease(
    alice: httpx.Client, worker: Worker, conversation: Json, claim: Claim
) -> None:
    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    gone = worker.client.get(f"/conversations/{conversation['id']}", headers=claim.headers)
    run = worker.client.get(claim.path, headers=claim.headers)

    assert_problem(gone, 404)
    assert run.json()["conversation_id"] is None


def test_heartbeat_of_a_user_is_refused(alice: httpx.Client, bob: httpx.Client) -> None:
    run = create(alice, "/runs", agent_id=new_agent())

    for client in (alice, bob):
        response = client.post(f"/runs/{run['id']}/heartbeat")
        assert_problem(response, 403)
        assert "insufficient_scope" in response.headers["www-authenticate"]
