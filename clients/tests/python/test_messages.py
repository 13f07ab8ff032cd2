"""Messages through the Python client: pages, routing decisions, attachments, feedback, branches."""

from uuid import UUID

from agent_api_client import AuthenticatedClient
from agent_api_client.api.attachments import (
    create_chat_attachment,
    delete_chat_attachment,
    get_chat_attachment,
    list_chat_attachments,
)
from agent_api_client.api.conversations import fork_conversation
from agent_api_client.api.feedback import delete_feedback, set_feedback
from agent_api_client.api.messages import (
    activate_message,
    create_message,
    delete_message,
    get_message,
    list_messages,
)
from agent_api_client.models import (
    AgenticRoutingDecision,
    ChatAttachment,
    ChatAttachmentCreate,
    ChatAttachmentPage,
    Conversation,
    DispatcherResponse,
    Feedback,
    FeedbackUpdate,
    FlatRoutingDecision,
    Fork,
    Message,
    MessageActivation,
    MessageCreate,
    MessagePage,
    NestedRoutingDecision,
    OwnFeedback,
    PlanStep,
    Problem,
    Thought,
    ValidationProblem,
)
from agent_api_client.types import UNSET, Unset

from clients.tests.python.calls import expect, say


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
