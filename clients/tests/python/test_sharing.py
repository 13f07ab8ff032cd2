"""Conversations that others use, through the Python client: members, edits, public links."""

from datetime import UTC, datetime

from agent_api_client import AuthenticatedClient, Client
from agent_api_client.api.conversations import get_conversation
from agent_api_client.api.links import create_link, delete_link, get_shared_conversation, list_links
from agent_api_client.api.messages import create_message, list_message_versions, update_message
from agent_api_client.api.settings import get_chat_settings
from agent_api_client.api.shares import list_shares, share_conversation, unshare_conversation
from agent_api_client.models import (
    ChatSettings,
    Conversation,
    ConversationWithMessages,
    CreatedLink,
    LinkCreate,
    LinkList,
    Message,
    MessageCreate,
    MessagePart,
    MessageUpdate,
    MessageVersionPage,
    Problem,
    Share,
    ShareCreate,
    SharedConversation,
    ShareList,
)

from clients.tests.python.calls import expect, say
from tests.servers import Server


def test_anyone_reads_a_link_until_it_is_deleted(
    server: Server, maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation
) -> None:
    say(maria, conversation, content="Which lease costs less?")
    body = LinkCreate(expires_at=datetime(2036, 4, 1, tzinfo=UTC))
    made = expect(CreatedLink, create_link.sync(conversation.id, client=maria, body=body))
    assert (made.expires_at, made.with_attachments) == (body.expires_at, False)

    with Client(base_url=server.url) as anyone:
        found = get_shared_conversation.sync(made.secret, client=anyone)
        (message,) = expect(SharedConversation, found).messages
        assert (message.role, message.content) == ("user", "Which lease costs less?")
        links = expect(LinkList, list_links.sync(conversation.id, client=maria)).links
        assert [link.id for link in links] == [made.id]
        foreign = expect(Problem, list_links.sync(conversation.id, client=bob))
        assert foreign.type_ == "/problems/forbidden"

        deleted = delete_link.sync_detailed(conversation.id, made.id, client=maria)
        assert (deleted.status_code, deleted.parsed) == (204, None)
        gone = expect(Problem, get_shared_conversation.sync(made.secret, client=anyone))
        assert gone.type_ == "/problems/not-found"


def test_conversation_is_shared_and_is_not_any_more(
    maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation
) -> None:
    member = expect(ChatSettings, get_chat_settings.sync(client=bob)).user_id
    viewer, editor = (ShareCreate(user_id=member, role=role) for role in ("viewer", "editor"))
    this = conversation.id

    shared = expect(Share, share_conversation.sync(this, client=maria, body=viewer))
    seen = expect(ConversationWithMessages, get_conversation.sync(this, client=bob))
    assert (seen.role, seen.shared_by) == ("viewer", shared.shared_by)
    assert isinstance(shared.shared_at, datetime)

    hello = MessageCreate(role="user", content="Hello")
    early = expect(Problem, create_message.sync(this, client=bob, body=hello))
    assert early.type_ == "/problems/forbidden"
    changed = expect(Share, share_conversation.sync(this, client=maria, body=editor))
    assert (changed.id, changed.role) == (shared.id, "editor")
    assert say(bob, conversation).content == "Hello"
    assert expect(ShareList, list_shares.sync(this, client=bob)).shares == [changed]

    removed = unshare_conversation.sync_detailed(this, member, client=maria)
    assert (removed.status_code, removed.parsed) == (204, None)
    gone = expect(Problem, get_conversation.sync(this, client=bob))
    assert gone.type_ == "/problems/forbidden"
    assert expect(ShareList, list_shares.sync(this, client=maria)).shares == []


def test_message_is_edited_and_keeps_its_versions(
    maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation
) -> None:
    member = expect(ChatSettings, get_chat_settings.sync(client=bob)).user_id
    share = ShareCreate(user_id=member, role="editor")
    expect(Share, share_conversation.sync(conversation.id, client=maria, body=share))
    thought = MessagePart.from_dict({"type": "reasoning", "text": "Harbour Street?"})
    first = say(bob, conversation, content="Harbor Street", parts=[thought])
    assert (first.author, first.version, first.edited_at) == (member, 1, None)
    assert first.parts == [thought]

    body = MessageUpdate(content="Harbour Street", parts=None)
    edited = expect(Message, update_message.sync(first.id, client=bob, body=body))
    assert (edited.content, edited.parts, edited.version) == ("Harbour Street", None, 2)
    assert isinstance(edited.edited_at, datetime)
    stale = update_message.sync(first.id, client=maria, body=body, if_match='"an-old-tag"')
    assert expect(Problem, stale).type_ == "/problems/precondition-failed"
    page = expect(MessageVersionPage, list_message_versions.sync(first.id, client=maria))
    assert [(each.version, each.author, each.content, each.parts) for each in page.versions] == [
        (1, member, "Harbor Street", [thought]),
        (2, member, "Harbour Street", None),
    ]

    hers = say(maria, conversation)
    foreign = expect(Problem, update_message.sync(hers.id, client=bob, body=body))
    assert foreign.type_ == "/problems/forbidden"
