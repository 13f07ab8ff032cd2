"""openapi-generator's Python client."""

import os

from openapi_client import (
    AgenticRoutingDecision,
    ApiClient,
    Configuration,
    ConversationsApi,
    FlatRoutingDecision,
    MessageCreate,
    MessageRole,
    MessagesApi,
    NestedRoutingDecision,
    PlanStep,
    RunCreate,
    RunsApi,
    RunStatus,
    Thought,
)

flat = FlatRoutingDecision(
    selected_tools=["search"], confidence=0.92, alternatives=["web", {"name": "calculator"}]
)
steps = [PlanStep(step=1, type="tool", name="search", input={"query": "rent"}), PlanStep(type=None)]
nested = NestedRoutingDecision(routing_decision=flat, execution_plan=steps)
agentic = AgenticRoutingDecision(
    thoughts=[Thought(type="plan", message="Add it up.", data=[1, 2])],
    selected_agents=["web", {"name": "calculator"}],
)

configuration = Configuration(host=os.environ["API"], access_token=os.environ["TOKEN"])
with ApiClient(configuration) as client:
    messages = MessagesApi(client)
    conversation = ConversationsApi(client).create_conversation()
    for decision in (flat, nested, agentic):
        body = MessageCreate(
            role=MessageRole.ASSISTANT,
            content="Harbour Street.",
            routing_decision=decision.to_dict(),
        )
        sent = messages.create_message(conversation.id, body)
        read = messages.get_message(sent.id).routing_decision
        assert read is not None
        assert type(decision).from_dict(read) == decision
    run = RunsApi(client).create_run(RunCreate(agent_id="web"))
    assert run.status == RunStatus.PENDING
print("3 routing decisions, 1 run")
