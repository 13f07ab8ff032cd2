"""How the Python client sends requests: with tags and keys, without a token, asynchronously."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from agent_api_client import AuthenticatedClient, Client
from agent_api_client.api.conversations import (
    create_conversation,
    get_conversation,
    update_conversation,
)
from agent_api_client.api.health import get_health, get_readiness
from agent_api_client.api.messages import (
    create_message,
    list_messages,
)
from agent_api_client.api.runs import create_run
from agent_api_client.models import (
    Conversation,
    ConversationCreate,
    ConversationUpdate,
    Health,
    Message,
    MessageCreate,
    MessagePage,
    Problem,
    Readiness,
    Run,
    RunCreate,
    ValidationProblem,
)

from clients.tests.python.calls import expect
from tests.servers import Server


def test_a_tag_tells_what_is_known_and_what_somebody_else_has_changed(
    maria: AuthenticatedClient, conversation: Conversation
) -> None:
    first = get_conversation.sync_detailed(conversation.id, client=maria)
    tag = first.headers["ETag"]

    known = get_conversation.sync_detailed(conversation.id, client=maria, if_none_match=tag)
    assert (known.status_code, known.parsed, known.headers["ETag"]) == (304, None, tag)

    body = ConversationUpdate(title="Leases")
    changed = update_conversation.sync(conversation.id, client=maria, body=body, if_match=tag)
    assert expect(Conversation, changed).title == "Leases"
    again = update_conversation.sync(conversation.id, client=maria, body=body, if_match=tag)
    assert expect(Problem, again).type_ == "/problems/precondition-failed"


def test_health_needs_no_token(server: Server) -> None:
    with Client(base_url=server.url) as client:
        assert expect(Health, get_health.sync(client=client)).status == "ok"
        assert expect(Readiness, get_readiness.sync(client=client)).status == "ready"


def test_client_is_asynchronous_too(server: Server, new_token: Callable[[], str]) -> None:
    async def act() -> object:
        async with AuthenticatedClient(base_url=server.url, token=new_token()) as client:
            return await create_conversation.asyncio(client=client, body=ConversationCreate())

    assert expect(Conversation, asyncio.run(act())).title == "New Conversation"


def test_a_post_is_repeated_with_its_key(
    maria: AuthenticatedClient, conversation: Conversation
) -> None:
    key = {name: str(uuid.uuid4()) for name in ("conversation", "message", "run")}
    hello = MessageCreate(role="user", content="Hello")

    def post_all() -> list[Any]:
        return [
            create_conversation.sync(
                client=maria, body=ConversationCreate(), idempotency_key=key["conversation"]
            ),
            create_message.sync(
                conversation.id, client=maria, body=hello, idempotency_key=key["message"]
            ),
            create_run.sync(client=maria, body=RunCreate(agent_id="a"), idempotency_key=key["run"]),
        ]

    first, again = post_all(), post_all()

    assert [type(row) for row in first] == [Conversation, Message, Run]
    assert again == first
    page = expect(MessagePage, list_messages.sync(conversation.id, client=maria))
    assert [message.id for message in page.messages] == [first[1].id]
    refused = create_run.sync(
        client=maria, body=RunCreate(agent_id="b"), idempotency_key=key["run"]
    )
    (error,) = expect(ValidationProblem, refused).errors
    assert (error.in_, error.pointer) == ("header", "/Idempotency-Key")
