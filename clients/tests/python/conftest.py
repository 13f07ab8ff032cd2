"""Python clients of two users, and a conversation of the first."""

from collections.abc import Callable, Iterator

import pytest
from agent_api_client import AuthenticatedClient
from agent_api_client.api.conversations import create_conversation
from agent_api_client.models import Conversation, ConversationCreate

from clients.tests.python.calls import expect
from tests.servers import Server


@pytest.fixture
def maria(server: Server, new_token: Callable[[], str]) -> Iterator[AuthenticatedClient]:
    with AuthenticatedClient(base_url=server.url, token=new_token()) as client:
        yield client


@pytest.fixture
def bob(server: Server, new_token: Callable[[], str]) -> Iterator[AuthenticatedClient]:
    with AuthenticatedClient(base_url=server.url, token=new_token()) as client:
        yield client


@pytest.fixture
def conversation(maria: AuthenticatedClient) -> Conversation:
    return expect(Conversation, create_conversation.sync(client=maria, body=ConversationCreate()))
