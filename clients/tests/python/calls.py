"""Calls of the Python client that many of its tests make."""

from typing import Any, TypeVar

from agent_api_client import AuthenticatedClient
from agent_api_client.api.messages import create_message
from agent_api_client.models import Conversation, Message, MessageCreate

T = TypeVar("T")


def expect(kind: type[T], answer: object) -> T:
    """Return `answer`, which must be of `kind`."""
    assert isinstance(answer, kind), answer
    return answer


def say(client: AuthenticatedClient, conversation: Conversation, **message: Any) -> Message:
    """Post a message; the keywords are those of MessageCreate."""
    body = MessageCreate(**{"role": "user", "content": "Hello"} | message)
    return expect(Message, create_message.sync(conversation.id, client=client, body=body))
