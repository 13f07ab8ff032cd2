"""The types of datamodel-code-generator, sent and read with httpx."""

import os

import httpx
from client import (
    AgenticRoutingDecision,
    Conversation,
    ConversationCreate,
    DispatcherResponse,
    FlatRoutingDecision,
    Message,
    MessageCreate,
    NestedRoutingDecision,
    PlanStep,
    Run,
    RunCreate,
    SelectedTool,
    Thought,
)
from pydantic import BaseModel

flat = FlatRoutingDecision(
    selected_tools=[SelectedTool("search")],
    confidence=0.92,
    alternatives=["web", {"name": "calculator"}],
)
steps = [PlanStep(step=1, type="tool", name="search", input={"query": "rent"}), PlanStep(type=None)]
nested = NestedRoutingDecision(routing_decision=flat, execution_plan=steps)
agentic = AgenticRoutingDecision(
    thoughts=[Thought(type="plan", message="Add it up.", data=[1, 2])],
    selected_agents=["web", {"name": "calculator"}],
)

token = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": "application/json"}
with httpx.Client(base_url=os.environ["API"], headers=token) as client:

    def post(path: str, body: BaseModel) -> bytes:
        content = body.model_dump_json(exclude_unset=True)
        return client.post(path, content=content).raise_for_status().content

    conversation = Conversation.model_validate_json(post("/conversations", ConversationCreate()))
    for decision in (flat, nested, agentic):
        body = MessageCreate(
            role="assistant",
            content="Harbour Street.",
            routing_decision=DispatcherResponse(**decision.model_dump(exclude_unset=True)),
        )
        text = post(f"/conversations/{conversation.id}/messages", body)
        sent = Message.model_validate_json(text)
        read = Message.model_validate_json(client.get(f"/messages/{sent.id}").content)
        assert read.routing_decision is not None
        assert type(decision).model_validate(read.routing_decision.model_dump()) == decision
    run = Run.model_validate_json(post("/runs", RunCreate(agent_id="web")))
    assert run.status == "pending"
print("3 routing decisions, 1 run")
