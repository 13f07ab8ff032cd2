"""The Python client returns every error as a typed problem."""

import importlib
import uuid
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from agent_api_client import AuthenticatedClient
from agent_api_client.api.conversations import (
    get_conversation,
    list_conversations,
)
from agent_api_client.api.messages import (
    create_message,
)
from agent_api_client.api.runs import create_run, update_run
from agent_api_client.models import (
    Conversation,
    MessageCreate,
    Problem,
    Run,
    RunCreate,
    RunUpdate,
    ValidationProblem,
)

from clients.tests.python.calls import expect
from tests.contract import OPERATIONS, Operation
from tests.servers import Server


def test_errors_of_the_live_server_are_typed_problems(
    maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation, server: Server
) -> None:
    foreign = expect(Problem, get_conversation.sync(conversation.id, client=bob))
    assert (foreign.type_, foreign.status) == ("/problems/forbidden", 403)

    missing = expect(Problem, get_conversation.sync(uuid.uuid4(), client=maria))
    assert (missing.type_, missing.status) == ("/problems/not-found", 404)

    with AuthenticatedClient(base_url=server.url, token="no.token.atall") as stranger:
        refused = list_conversations.sync_detailed(client=stranger)
    assert expect(Problem, refused.parsed).type_ == "/problems/unauthorized"
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")

    ended = expect(Run, create_run.sync(client=maria, body=RunCreate(agent_id="a")))
    update_run.sync(ended.id, client=maria, body=RunUpdate(status="cancelled"))
    conflict = update_run.sync(ended.id, client=maria, body=RunUpdate(status="running"))
    assert expect(Problem, conflict).type_ == "/problems/conflict"

    body = MessageCreate(role="user", content="x" * 2_000_000)
    large = create_message.sync(conversation.id, client=maria, body=body)
    assert expect(Problem, large).type_ == "/problems/payload-too-large"

    body = MessageCreate(role="user", content="Hello", run_id=uuid.uuid4())
    invalid = create_message.sync(conversation.id, client=maria, body=body)
    (error,) = expect(ValidationProblem, invalid).errors
    assert (error.in_, error.pointer) == ("body", "/run_id")


def arguments(operation: Operation, function: Callable[..., Any]) -> dict[str, Any]:
    """Return what the operation's generated function needs; the mock knows no ids."""
    needed: dict[str, Any] = {name: uuid.uuid4() for name in operation.names}
    needed |= {part["name"]: part["example"] for part in operation.required_parameters}
    if operation.body_required:
        needed["body"] = get_type_hints(function)["body"].from_dict(operation.example)
    return needed


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.operation_id)
def test_every_error_of_every_operation_is_a_typed_problem(
    operation: Operation, mock: Server
) -> None:
    name = f"agent_api_client.api.{operation.tag}.{operation.operation_id}"
    module = importlib.import_module(name)

    for status in sorted(status for status in operation.statuses if status >= 400):
        headers = {"Prefer": f"code={status}"}
        if operation.takes_lease:
            headers["Run-Lease"] = "any"
        with AuthenticatedClient(base_url=mock.url, token="any", headers=headers) as client:
            function = module.sync_detailed
            answer = function(client=client, **arguments(operation, function))
        assert type(answer.parsed) is (ValidationProblem if status == 422 else Problem)
        assert (answer.status_code, answer.parsed.status) == (status, status)
