"""Messages store every valid value unchanged and reject every invalid one."""

from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    TIME,
    Json,
    get_conversation,
    messages_of,
    nested,
    new_conversation,
    new_run,
    post_message,
    read,
    refusals,
    short,
)
from tests.contract import CONTRACT

NULLABLE = ("attachments", "metadata", "run_id", "routing_decision", "tool_calls")
CONTENTS = {
    "empty": "",
    "blank": " \n\t ",
    "spaces around": "  \n kept \n\n",
    "line ends": "a\r\nb\rc\nd\u2028e\u0085f",
    "unicode": "Größe 租约 مقارنة עברית 👩🏽‍🚀🇩🇪 e\u0301 \ufeff\uffff\U0010ffff",
    "right to left": "\u202eoverride\u202c \u200f",
    "control": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "escapes": "\\u0000 \\n \\ \" ' %s {{x}} ${y} </script> -- ;",
    "a megabyte": "All work and no play 🎭. " * 38_000,
}
S3_FILE: Json = {
    "name": "lease-harbour-street.pdf",
    "type": "application/pdf",
    "url": "s3://lease-documents/2026/lease-harbour-street.pdf",
    "size": 482133,
    "knowledge_base_id": "kb-leases",
}
BLOB_FILE: Json = {
    "name": "lease-mill-lane.jpg",
    "type": "image/jpeg",
    "url": "blob:https://chat.example.com/4f6c1d0e-7a52-4c0b-9b1e-2f1d5a6e8c31",
    "size": 2210459,
}
ATTACHMENTS: dict[str, list[Json]] = {
    "without a media type": [S3_FILE | {"type": ""}],
    "none": [],
    "s3 and blob": [S3_FILE, BLOB_FILE],
    "explicit null": [BLOB_FILE | {"knowledge_base_id": None}],
    "unknown properties": [S3_FILE | {"checksum": {"sha256": "00ff"}, "pages": [1, 2.5], "": None}],
    "shortest and longest": [
        {"name": "🚀" * 255, "type": "x" * 255, "url": "s3://" + "u" * 8187, "size": 2**53 - 1},
        {"name": "n", "type": "t", "url": "u", "size": 0, "knowledge_base_id": "k" * 255},
    ],
    "the same twice": [S3_FILE, S3_FILE],
    "as many as allowed": [S3_FILE | {"size": number} for number in range(100)],
    "deepest allowed": [S3_FILE | {"more": nested(97)}],
}
FLAT: Json = {
    "selected_tools": ["document_search"],
    "selected_agents": ["document-agent", "019bb138-1000-71fb-ba17-0b3339263059"],
    "confidence": 0.92,
    "reasoning": "Both files are lease offers.",
    "alternatives": ["web-agent"],
    "requires_disambiguation": False,
}
ROUTING_DECISIONS: dict[str, Json] = {
    "flat": FLAT,
    "flat, with nulls": dict.fromkeys(FLAT),
    "flat, with other properties": FLAT
    | {"latency_ms": 12, "alternatives": [{"agent": "web", "score": 0.1}]},
    "sure": {"confidence": 1},
    "not sure": {"confidence": 0, "requires_disambiguation": True},
    "empty": {},
    "nested": {
        "routing_decision": FLAT,
        "execution_plan": [
            {"step": 1, "type": "tool", "name": "document_search", "input": {"query": "rent"}},
            {"step": 2, "type": "agent", "name": "document-agent", "input": "a text"},
            {"step": 3, "type": None, "name": None, "input": None},
        ],
    },
    "nested, with other properties": {
        "routing_decision": FLAT | {"model": "router-2"},
        "execution_plan": [{"step": 1, "type": "tool", "name": "t", "input": [1], "retries": 2}],
        "version": 3,
    },
    "agentic": {
        "thoughts": [
            {"type": "plan", "source": "document-agent", "message": "Read both.", "data": None},
            {"type": "result", "source": "calculator", "message": "", "data": {"sum": 189000.5}},
        ],
        "selected_agents": [{"id": "019bb138-1000-71fb-ba17-0b3339263059", "name": "d"}, "web"],
    },
    "agentic, with other properties": {
        "thoughts": [{"type": "x", "at": [1, 2]}, {}],
        "final": True,
    },
    "of another form": {"router": "v9", "choice": {"of": ["nothing", "we", "know"]}},
    "deepest allowed": {"other": nested(98)},
}
TOOL_CALL: Json = {
    "tool_name": "document_search",
    "success": True,
    "output": {"monthly_rent": 3150, "clauses": ["index", None]},
    "metadata": {"duration_ms": 412},
    "error": None,
}
OUTPUTS: list[Any] = ["text", 7, 1.5, True, None, [[]]]
TOOL_CALLS: dict[str, list[Json]] = {
    "none": [],
    "one": [TOOL_CALL],
    "failed": [TOOL_CALL | {"success": False, "output": None, "error": "The photo is too dark."}],
    "error object": [TOOL_CALL | {"success": False, "error": {"code": 7, "trace": ["a", "b"]}}],
    "outputs of any kind": [{"output": output} for output in OUTPUTS],
    "free": [{}, {"id": "call_1", "function": {"name": "f", "arguments": "{}"}}],
    "many": [TOOL_CALL | {"metadata": {"number": number}} for number in range(1000)],
    "deepest allowed": [{"output": nested(97)}],
}


def assert_reads_everywhere(client: httpx.Client, message: Json) -> None:
    """Assert that every operation that shows the message shows it just like this."""
    conversation = {"id": message["conversation_id"]}
    assert read(client, f"/messages/{message['id']}") == message
    assert read(client, messages_of(conversation))["messages"] == [message]
    assert read(client, f"/conversations/{conversation['id']}")["messages"] == [message]


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_create_message_applies_defaults(
    alice: httpx.Client, conversation: Json, role: str
) -> None:
    message = post_message(alice, conversation, "Hello", role=role)

    assert TIME.fullmatch(message["created_at"])
    given = {"conversation_id": conversation["id"], "role": role, "content": "Hello"}
    assert message == message | given | dict.fromkeys(NULLABLE)
    assert message.keys() == CONTRACT["components"]["schemas"]["Message"]["properties"].keys()
    assert_reads_everywhere(alice, message)


def test_create_message_treats_null_as_absent(alice: httpx.Client, conversation: Json) -> None:
    message = post_message(alice, conversation, "Hello", **dict.fromkeys(NULLABLE))

    assert message == message | dict.fromkeys(NULLABLE)


def test_create_message_stores_every_property(alice: httpx.Client, conversation: Json) -> None:
    sent = {
        "role": "assistant",
        "content": "Harbour Street costs less.",
        "attachments": ATTACHMENTS["s3 and blob"],
        "metadata": {"locale": "en-GB"},
        "run_id": new_run(alice, conversation_id=conversation["id"])["id"],
        "routing_decision": ROUTING_DECISIONS["nested"],
        "tool_calls": [TOOL_CALL],
    }

    message = post_message(alice, conversation, **sent)

    assert message == message | sent
    assert_reads_everywhere(alice, message)


VALUES: dict[str, dict[str, Any]] = {
    "content": CONTENTS,
    "attachments": ATTACHMENTS,
    "routing_decision": ROUTING_DECISIONS,
    "tool_calls": TOOL_CALLS,
    "metadata": {"{}": {}, "some": {"null": None, "🔑": [1, {"a": 0.1}]}, "deep": nested(99)},
}


@pytest.mark.parametrize("name", VALUES)
def test_create_message_stores_any_value(
    alice: httpx.Client, subtests: pytest.Subtests, name: str
) -> None:
    for kind, value in VALUES[name].items():
        with subtests.test(kind):
            conversation = new_conversation(alice)
            body = {"role": "assistant", "content": "See the files."} | {name: value}
            message = post_message(alice, conversation, **body)
            assert message == message | body
            assert_reads_everywhere(alice, message)
            preview = body | {"content": message["content"][:100]}
            assert get_conversation(alice, conversation)["last_message"] == {
                key: preview.get(key, message[key]) for key in ("role", "content", "created_at")
            }


def test_create_message_ignores_unknown_properties(alice: httpx.Client, conversation: Json) -> None:
    unknown = {
        "id": NOBODYS_ID,
        "conversation_id": NOBODYS_ID,
        "position": -5,
        "created_at": "1999-12-31T23:59:59.000000Z",
        "stream": True,
        "": {"any": "thing"},
    }

    message = post_message(alice, conversation, "Hello", **unknown)

    assert message["id"] != NOBODYS_ID
    assert message["conversation_id"] == conversation["id"]
    assert message["created_at"] > conversation["created_at"]
    assert not {"position", "stream", ""} & message.keys()


def without(source: Json, name: str) -> Json:
    return {key: value for key, value in source.items() if key != name}


def test_create_message_rejects_wrong_values(
    alice: httpx.Client, conversation: Json, subtests: pytest.Subtests
) -> None:
    cases: list[tuple[Json, str]] = [
        ({"role": "tool"}, "/role"),
        ({"role": "User"}, "/role"),
        ({"role": None}, "/role"),
        ({"content": None}, "/content"),
        ({"content": 5}, "/content"),
        ({"content": [{"type": "text", "text": "parts"}]}, "/content"),
        ({"attachments": {}}, "/attachments"),
        ({"attachments": [None]}, "/attachments/0"),
        ({"attachments": [S3_FILE] * 101}, "/attachments"),
        ({"attachments": [S3_FILE, S3_FILE | {"size": -1}]}, "/attachments/1/size"),
        ({"attachments": [S3_FILE | {"size": 2**53}]}, "/attachments/0/size"),
        ({"attachments": [S3_FILE | {"size": "12"}]}, "/attachments/0/size"),
        ({"attachments": [S3_FILE | {"size": 1.5}]}, "/attachments/0/size"),
        ({"attachments": [S3_FILE | {"name": ""}]}, "/attachments/0/name"),
        ({"attachments": [S3_FILE | {"name": "n" * 256}]}, "/attachments/0/name"),
        ({"attachments": [S3_FILE | {"url": "u" * 8193}]}, "/attachments/0/url"),
        ({"attachments": [S3_FILE | {"type": None}]}, "/attachments/0/type"),
        *(
            ({"attachments": [without(S3_FILE, name)]}, f"/attachments/0/{name}")
            for name in ("name", "type", "url", "size")
        ),
        ({"metadata": []}, "/metadata"),
        ({"run_id": "run-1"}, "/run_id"),
        ({"run_id": "019cadd300007000800000000000abcd"}, "/run_id"),
        ({"routing_decision": []}, "/routing_decision"),
        ({"routing_decision": "document-agent"}, "/routing_decision"),
        ({"routing_decision": {"confidence": 1.01}}, "/routing_decision"),
        ({"tool_calls": {}}, "/tool_calls"),
        ({"tool_calls": [TOOL_CALL, "text"]}, "/tool_calls/1"),
        ({"tool_calls": [{}] * 1001}, "/tool_calls"),
    ]
    for wrong, pointer in cases:
        with subtests.test(short(wrong)):
            body = {"role": "user", "content": "Hello"} | wrong
            response = alice.post(messages_of(conversation), json=body)
            assert ("body", pointer) in refusals(response)

    assert get_conversation(alice, conversation) == conversation
    assert read(alice, messages_of(conversation))["total"] == 0


@pytest.mark.parametrize("missing", ["role", "content"])
def test_create_message_requires_role_and_content(
    alice: httpx.Client, conversation: Json, missing: str
) -> None:
    body = without({"role": "user", "content": "Hello"}, missing)

    response = alice.post(messages_of(conversation), json=body)

    assert refusals(response) == {("body", f"/{missing}")}
