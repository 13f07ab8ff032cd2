"""A story through the generated Python client: from a question to its answer by a run."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from agent_api_client import AuthenticatedClient
from agent_api_client.api.conversations import (
    create_conversation,
    delete_conversation,
    get_conversation,
    list_conversations,
    update_conversation,
)
from agent_api_client.api.messages import get_message
from agent_api_client.api.runs import create_run, get_run, update_run
from agent_api_client.models import (
    Attachment,
    Conversation,
    ConversationCreate,
    ConversationPage,
    ConversationUpdate,
    ConversationWithMessages,
    DispatcherResponse,
    Message,
    MessagePreview,
    Metadata,
    Run,
    RunCreate,
    RunCreateInput,
    RunUpdate,
    RunUpdateOutput,
    ToolCall,
)
from agent_api_client.types import Unset

from clients.tests.python.calls import expect, say


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
