"""A story through the generated Python client, on the live server."""

import asyncio
import importlib
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, get_type_hints
from uuid import UUID

import pytest
from agent_api_client import AuthenticatedClient, Client
from agent_api_client.api.attachments import (
    create_chat_attachment,
    delete_chat_attachment,
    get_chat_attachment,
    list_chat_attachments,
)
from agent_api_client.api.conversations import (
    bulk_update_conversations,
    create_conversation,
    delete_conversation,
    fork_conversation,
    get_conversation,
    list_conversations,
    mark_conversation_read,
    update_conversation,
)
from agent_api_client.api.feedback import delete_feedback, set_feedback
from agent_api_client.api.health import get_health, get_readiness
from agent_api_client.api.links import (
    create_link,
    delete_link,
    get_shared_conversation,
    list_links,
)
from agent_api_client.api.messages import (
    activate_message,
    create_message,
    delete_message,
    get_message,
    list_message_versions,
    list_messages,
    update_message,
)
from agent_api_client.api.runs import create_run, get_run, list_runs, update_run
from agent_api_client.api.search import search
from agent_api_client.api.settings import get_chat_settings, update_chat_settings
from agent_api_client.api.shares import list_shares, share_conversation, unshare_conversation
from agent_api_client.models import (
    AgenticRoutingDecision,
    Attachment,
    BulkFilter,
    BulkProblem,
    BulkResults,
    BulkUpdate,
    ChatAttachment,
    ChatAttachmentCreate,
    ChatAttachmentPage,
    ChatSettings,
    ChatSettingsUpdate,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationRead,
    ConversationUpdate,
    ConversationWithMessages,
    CreatedLink,
    DispatcherResponse,
    Feedback,
    FeedbackUpdate,
    FlatRoutingDecision,
    Fork,
    Health,
    LinkCreate,
    LinkList,
    Message,
    MessageActivation,
    MessageCreate,
    MessagePage,
    MessagePart,
    MessagePreview,
    MessageUpdate,
    MessageVersionPage,
    Metadata,
    NestedRoutingDecision,
    OwnFeedback,
    PlanStep,
    Problem,
    Readiness,
    Run,
    RunCreate,
    RunCreateInput,
    RunPage,
    RunUpdate,
    RunUpdateOutput,
    SearchPage,
    Share,
    ShareCreate,
    SharedConversation,
    ShareList,
    Thought,
    ToolCall,
    ValidationProblem,
)
from agent_api_client.types import UNSET, Unset

from tests.contract import OPERATIONS, Operation
from tests.servers import Server

T = TypeVar("T")
AGENT = UUID("019bb138-1000-71fb-ba17-0b3339263059")


def expect(kind: type[T], answer: object) -> T:
    """Return `answer`, which must be of `kind`."""
    assert isinstance(answer, kind), answer
    return answer


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


def say(client: AuthenticatedClient, conversation: Conversation, **message: Any) -> Message:
    """Post a message; the keywords are those of MessageCreate."""
    body = MessageCreate(**{"role": "user", "content": "Hello"} | message)
    return expect(Message, create_message.sync(conversation.id, client=client, body=body))


def test_whole_story(maria: AuthenticatedClient) -> None:
    metadata = Metadata.from_dict({"team": "facilities"})
    body = ConversationCreate(source="agent-manager", agent_id="document-agent", metadata=metadata)
    created = create_conversation.sync_detailed(client=maria, body=body)
    conversation = expect(Conversation, created.parsed)
    assert created.status_code == 201
    assert created.headers["Location"] == f"/conversations/{conversation.id}"
    assert isinstance(conversation.id, UUID)
    assert expect(Metadata, conversation.metadata)["team"] == "facilities"
    assert (conversation.last_message, conversation.model) == (None, None)
    assert datetime.now(UTC) - conversation.created_at < timedelta(minutes=1)

    lease = Attachment(
        name="lease.pdf", type_="application/pdf", url="s3://leases/lease.pdf", size=482133
    )
    question = say(maria, conversation, content="Which lease costs less?", attachments=[lease])
    assert question.role == "user"
    assert [a.size for a in expect(list, question.attachments)] == [482133]

    body_of_run = RunCreate(
        agent_id="document-agent",
        conversation_id=conversation.id,
        input_=RunCreateInput.from_dict({"message_id": str(question.id)}),
    )
    run = expect(Run, create_run.sync(client=maria, body=body_of_run))
    assert (run.status, run.started_at, run.finished_at) == ("pending", None, None)
    run = expect(Run, update_run.sync(run.id, client=maria, body=RunUpdate(status="running")))
    assert isinstance(run.started_at, datetime)

    answer = say(
        maria,
        conversation,
        role="assistant",
        content="Harbour Street does.",
        run_id=run.id,
        routing_decision=DispatcherResponse.from_dict({"confidence": 0.92}),
        tool_calls=[ToolCall(tool_name="search", success=True, output={"rent": 3150})],
    )
    assert answer.run_id == run.id
    assert expect(DispatcherResponse, answer.routing_decision)["confidence"] == 0.92
    assert [call.output for call in expect(list, answer.tool_calls)] == [{"rent": 3150}]

    output = RunUpdateOutput.from_dict({"cheaper": "harbour_street"})
    ended = RunUpdate(status="succeeded", output=output)
    run = expect(Run, update_run.sync(run.id, client=maria, body=ended))
    assert run.status == "succeeded"
    assert isinstance(run.finished_at, datetime)

    page = expect(ConversationPage, list_conversations.sync(client=maria))
    (listed,) = page.conversations
    assert (listed.title, listed.message_count) == ("Which lease costs less?", 2)
    preview = expect(MessagePreview, listed.last_message)
    assert (preview.role, preview.created_at) == ("assistant", answer.created_at)

    whole = get_conversation.sync(conversation.id, client=maria)
    assert [m.id for m in expect(list, expect(ConversationWithMessages, whole).messages)] == [
        question.id,
        answer.id,
    ]
    bare = get_conversation.sync(conversation.id, client=maria, include_messages=False)
    assert isinstance(expect(ConversationWithMessages, bare).messages, Unset)
    assert expect(Message, get_message.sync(answer.id, client=maria)) == answer

    renamed = ConversationUpdate(title="Leases", agent_id=None)
    changed = update_conversation.sync(conversation.id, client=maria, body=renamed)
    assert expect(Conversation, changed).title == "Leases"
    assert expect(Conversation, changed).agent_id is None

    deleted = delete_conversation.sync_detailed(conversation.id, client=maria)
    assert (deleted.status_code, deleted.parsed) == (204, None)
    assert expect(Run, get_run.sync(run.id, client=maria)).conversation_id is None


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


def test_routing_decision_comes_back_in_its_shape(
    maria: AuthenticatedClient, conversation: Conversation
) -> None:
    flat = FlatRoutingDecision(selected_agents=["document-agent"], alternatives=["web-agent"])
    step = PlanStep(step=1, type_="tool", name="search", input_={"query": "rent"})
    nested = NestedRoutingDecision(routing_decision=flat, execution_plan=[step])
    agentic = AgenticRoutingDecision(thoughts=[Thought(type_="plan", message="Add it up.")])

    for decision in (flat, nested, agentic):
        sent = DispatcherResponse.from_dict(decision.to_dict())
        message = say(maria, conversation, routing_decision=sent)
        read = expect(DispatcherResponse, message.routing_decision)
        assert type(decision).from_dict(read.to_dict()) == decision


def test_pages_follow_each_other_to_the_end(
    maria: AuthenticatedClient, conversation: Conversation
) -> None:
    said = [say(maria, conversation, content=f"Number {n}").id for n in range(7)]

    read: list[UUID] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        answer = list_messages.sync(conversation.id, client=maria, limit=3, cursor=cursor)
        page = expect(MessagePage, answer)
        assert page.total == 7
        read += [message.id for message in page.messages]
        cursor = page.next_cursor

    assert read == said


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


def test_message_shows_its_attachments_until_they_are_deleted(
    maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation
) -> None:
    plan = ChatAttachmentCreate(
        filename="plan.pdf",
        file_url="s3://leases/plan.pdf",
        added_to_library=True,
        parsed_content="214 square metres",
    )
    made = expect(ChatAttachment, create_chat_attachment.sync(client=maria, body=plan))
    assert (made.message_id, made.mime_type, made.size_bytes) == (None, None, None)

    message = say(maria, conversation, attachment_ids=[made.id])
    assert [file.filename for file in message.chat_attachments] == ["plan.pdf"]
    linked = expect(ChatAttachment, get_chat_attachment.sync(made.id, client=maria))
    assert (linked.message_id, linked.conversation_id) == (message.id, conversation.id)
    found = list_chat_attachments.sync(
        client=maria, added_to_library=True, conversation_id=conversation.id
    )
    assert expect(ChatAttachmentPage, found).chat_attachments == [linked]

    body = MessageCreate(role="user", content="Hello", attachment_ids=[made.id])
    again = create_message.sync(conversation.id, client=maria, body=body)
    (error,) = expect(ValidationProblem, again).errors
    assert error.pointer == "/attachment_ids/0"
    foreign = expect(Problem, delete_chat_attachment.sync(made.id, client=bob))
    assert foreign.type_ == "/problems/forbidden"

    deleted = delete_chat_attachment.sync_detailed(made.id, client=maria)
    assert (deleted.status_code, deleted.parsed) == (204, None)
    left = expect(Message, get_message.sync(message.id, client=maria))
    assert left.chat_attachments == []


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


def test_message_shows_the_feedback_of_its_reader(
    maria: AuthenticatedClient, bob: AuthenticatedClient, conversation: Conversation
) -> None:
    message = say(maria, conversation)
    assert message.feedback is None

    body = FeedbackUpdate(rating="down", tags=["wrong"], comment="The rent is missing.")
    given = expect(Feedback, set_feedback.sync(message.id, client=maria, body=body))
    assert (given.rating, given.tags, given.comment) == ("down", ["wrong"], "The rent is missing.")
    shown = expect(Message, get_message.sync(message.id, client=maria)).feedback
    assert expect(OwnFeedback, shown).to_dict() == given.to_dict()
    foreign = expect(Problem, delete_feedback.sync(message.id, client=bob))
    assert foreign.type_ == "/problems/forbidden"

    deleted = delete_feedback.sync_detailed(message.id, client=maria)
    assert (deleted.status_code, deleted.parsed) == (204, None)
    assert expect(Message, get_message.sync(message.id, client=maria)).feedback is None


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


def test_answers_are_regenerated_switched_copied_and_deleted(
    maria: AuthenticatedClient, conversation: Conversation
) -> None:
    question = say(maria, conversation)
    first = say(maria, conversation, role="assistant")
    second = say(maria, conversation, role="assistant", sibling_of=first.id)
    assert (second.parent_id, second.sibling_index, second.sibling_count) == (question.id, 2, 2)
    page = expect(MessagePage, list_messages.sync(conversation.id, client=maria))
    assert [each.id for each in page.messages] == [question.id, second.id]
    page = expect(MessagePage, list_messages.sync(conversation.id, client=maria, branches="all"))
    assert [each.active for each in page.messages] == [True, False, True]

    body = MessageActivation(message_id=first.id)
    switched = activate_message.sync(conversation.id, client=maria, body=body)
    assert expect(Conversation, switched).message_count == 2

    copying = Fork(up_to=second.id, title="A copy")
    forked = fork_conversation.sync(conversation.id, client=maria, body=copying)
    copy = expect(Conversation, forked)
    assert (copy.title, copy.message_count) == ("A copy", 2)

    deleted = delete_message.sync_detailed(first.id, client=maria)
    assert (deleted.status_code, deleted.parsed) == (204, None)
    left = expect(Message, get_message.sync(second.id, client=maria))
    assert (left.sibling_count, left.active) == (1, True)


def test_settings_are_defaults_until_they_are_saved(maria: AuthenticatedClient) -> None:
    settings = expect(ChatSettings, get_chat_settings.sync(client=maria))
    assert (settings.id, settings.created_at, settings.temperature) == (None, None, 0.7)

    wanted = ChatSettingsUpdate(enabled_agents=[AGENT], model="llama-3.3-70b", max_tokens=4000)
    for _ in range(2):  # saving again changes nothing
        saved = expect(ChatSettings, update_chat_settings.sync(client=maria, body=wanted))
        assert saved.enabled_agents == [AGENT]
        assert (saved.model, saved.temperature) == ("llama-3.3-70b", 0.7)

    cleared = update_chat_settings.sync(client=maria, body=ChatSettingsUpdate(model=None))
    assert expect(ChatSettings, cleared).model is None
    assert expect(ChatSettings, cleared).max_tokens == 4000


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
