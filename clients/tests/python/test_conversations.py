"""Conversations through the Python client: lists, tags, bulk changes, search."""

import uuid

from agent_api_client import AuthenticatedClient
from agent_api_client.api.conversations import (
    bulk_update_conversations,
    create_conversation,
    get_conversation,
    list_conversations,
    mark_conversation_read,
    update_conversation,
)
from agent_api_client.api.runs import create_run, list_runs
from agent_api_client.api.search import search
from agent_api_client.models import (
    BulkFilter,
    BulkProblem,
    BulkResults,
    BulkUpdate,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationRead,
    ConversationUpdate,
    ConversationWithMessages,
    DispatcherResponse,
    RunCreate,
    RunPage,
    SearchPage,
    ValidationProblem,
)

from clients.tests.python.calls import expect, say


def test_lists_take_their_filters(maria: AuthenticatedClient) -> None:
    for source in ("web", "mobile"):
        create_conversation.sync(client=maria, body=ConversationCreate(source=source))
        create_run.sync(client=maria, body=RunCreate(agent_id=source, status="running"))

    conversations = list_conversations.sync(
        client=maria, source="web", order_by="updated_at", order="asc"
    )
    runs = list_runs.sync(client=maria, agent_id="mobile", status="running")

    assert [c.source for c in expect(ConversationPage, conversations).conversations] == ["web"]
    assert [r.agent_id for r in expect(RunPage, runs).runs] == ["mobile"]


def test_conversations_are_organised(
    maria: AuthenticatedClient, conversation: Conversation
) -> None:
    decision = DispatcherResponse.from_dict({"selected_agents": ["web-agent"]})
    answer = say(maria, conversation, role="assistant", routing_decision=decision)
    unread = get_conversation.sync(conversation.id, client=maria)
    assert expect(ConversationWithMessages, unread).unread_count == 1
    up_to_answer = ConversationRead(message_id=answer.id)
    marked = mark_conversation_read.sync(conversation.id, client=maria, body=up_to_answer)
    assert expect(Conversation, marked).unread_count == 0

    body = ConversationUpdate(pinned=True, tags=["leases"])
    pinned = update_conversation.sync(conversation.id, client=maria, body=body)
    assert expect(Conversation, pinned).tags == ["leases"]
    create_conversation.sync(client=maria, body=ConversationCreate())
    found = list_conversations.sync(client=maria, tag="leases", pinned=True, agent_id="web-agent")
    assert [c.id for c in expect(ConversationPage, found).conversations] == [conversation.id]
    first, _ = expect(ConversationPage, list_conversations.sync(client=maria)).conversations
    assert first.id == conversation.id

    ids = [conversation.id, uuid.uuid4()]
    tagging = BulkUpdate(action="add_tags", ids=ids, tags=["done"])
    tagged = expect(BulkResults, bulk_update_conversations.sync(client=maria, body=tagging))
    assert [(r.id, r.status) for r in tagged.results] == list(zip(ids, (200, 404), strict=True))
    assert tagged.results[0].problem is None
    assert expect(BulkProblem, tagged.results[1].problem).type_ == "/problems/not-found"
    archiving = BulkUpdate(action="archive", filter_=BulkFilter(tag="done"))
    archived = expect(BulkResults, bulk_update_conversations.sync(client=maria, body=archiving))
    assert [r.id for r in archived.results] == [conversation.id]
    page = expect(ConversationPage, list_conversations.sync(client=maria, archived="true"))
    assert [(c.id, c.archived) for c in page.conversations] == [(conversation.id, True)]


def test_search_finds_messages_and_shows_the_matches(
    maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation
) -> None:
    rent = say(maria, conversation, content="😀 The rent of Café Müller is fixed for five years.")
    answer = say(maria, conversation, role="assistant", content="The other rent is not.")

    (result,) = expect(SearchPage, search.sync(client=maria, q='"cafe muller" rent')).results
    assert (result.message_id, result.conversation.id) == (rent.id, conversation.id)
    assert (result.conversation.role, result.conversation.shared_by) == ("owner", None)
    units = result.snippet.encode("utf-16-le")
    parts = [units[2 * each.start : 2 * each.end].decode("utf-16-le") for each in result.highlights]
    assert parts == ["rent", "Café Müller"]

    page = expect(SearchPage, search.sync(client=maria, q="rent", limit=1))
    more = search.sync(client=maria, q="rent", limit=1, cursor=expect(str, page.next_cursor))
    last = expect(SearchPage, more)
    assert {r.message_id for r in page.results + last.results} == {rent.id, answer.id}
    assert last.next_cursor is None
    found = search.sync(client=maria, q="rent", role="user", conversation_id=conversation.id)
    assert [r.message_id for r in expect(SearchPage, found).results] == [rent.id]
    since = search.sync(client=maria, q="rent", created_after=answer.created_at)
    assert [r.message_id for r in expect(SearchPage, since).results] == [answer.id]
    assert expect(SearchPage, search.sync(client=bob, q="rent")).results == []
    (error,) = expect(ValidationProblem, search.sync(client=maria, q="-rent")).errors
    assert error.pointer == "/q"
