"""Bodies that do not match their schema, and the 422 that describes them."""

import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract import (
    Operation,
    Rows,
    assert_problem,
    digits_of,
    make_rows,
    places,
)
from tests.protocol.cases import EVERY_OPERATION_WITH_A_BODY, JSON, PROPERTY, case

ALTERNATIVES = "must match one of the alternatives in the contract"
BROKEN: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("create_conversation", {"title": ""}, {"/title": "must have at least 1 characters"}),
    ("create_conversation", {"title": "a" * 256}, {"/title": "must have at most 255 characters"}),
    ("create_conversation", {"source": 5}, {"/source": "must be of type "}),
    ("create_conversation", {"is_private": "true"}, {"/is_private": "must be of type "}),
    ("create_conversation", {"metadata": []}, {"/metadata": "must be of type "}),
    ("create_conversation", {"title": 1, "model": 2}, {"/title": "must", "/model": "must"}),
    ("update_conversation", {"agent_id": ""}, {"/agent_id": "must have at least 1 characters"}),
    ("create_message", {}, {"/role": "is required", "/content": "is required"}),
    ("create_message", {"role": "tool"}, {"/role": "must be one of: user, assistant, system"}),
    ("create_message", {"role": None}, {"/role": "must "}),
    ("create_message", {"content": None}, {"/content": "must be of type string"}),
    ("create_message", {"attachments": {}}, {"/attachments": "must be of type "}),
    ("create_message", {"attachments": [{"name": "a"}]}, {"/attachments/0/url": "is required"}),
    ("create_message", {"run_id": "7"}, {"/run_id": "must be a uuid"}),
    ("create_message", {"tool_calls": [1]}, {"/tool_calls/0": "must be of type object"}),
    ("create_message", {"routing_decision": []}, {"/routing_decision": ALTERNATIVES}),
    (
        "create_message",
        {"routing_decision": {"confidence": 2}},
        {"/routing_decision": ALTERNATIVES},
    ),
    ("create_run", {}, {"/agent_id": "is required"}),
    ("create_run", {"status": "succeeded"}, {"/status": "must be one of: pending, running"}),
    ("create_run", {"conversation_id": "7"}, {"/conversation_id": "must be a uuid"}),
    ("update_run", {"status": "done"}, {"/status": "must be one of: pending, running, "}),
    ("update_run", {"output": "done"}, {"/output": "must be of type "}),
    ("update_chat_settings", {"temperature": 2.1}, {"/temperature": "must be at most 2"}),
    ("update_chat_settings", {"temperature": True}, {"/temperature": "must be of type "}),
    ("update_chat_settings", {"max_tokens": 0}, {"/max_tokens": "must be at least 1"}),
    ("update_chat_settings", {"max_tokens": 1.5}, {"/max_tokens": "must be of type "}),
    ("update_chat_settings", {"enabled_tools": [""]}, {"/enabled_tools/0": "must have"}),
    ("update_chat_settings", {"enabled_agents": ["x"]}, {"/enabled_agents/0": "must be a uuid"}),
]
COMPLETE = {"create_message": {"role": "user", "content": "Hello"}, "create_run": {"agent_id": "a"}}


@EVERY_OPERATION_WITH_A_BODY
def test_422_has_a_pointer_and_a_reason_for_each_error(
    operation: Operation, owner: httpx.Client, kept_rows: Rows
) -> None:
    for operation_id, body, wrong in BROKEN:
        if operation_id != operation.operation_id:
            continue
        with case(body):
            complete = COMPLETE.get(operation_id, {}) | body if body else {}

            errors = assert_problem(operation.send(owner, kept_rows, json=complete), 422)["errors"]

            found = {error["pointer"]: error["detail"] for error in errors}
            assert body.get("attachments") or found.keys() == wrong.keys()
            for pointer, reason in wrong.items():
                assert found[pointer].startswith(reason)
            assert {error["in"] for error in errors} == {"body"}


def test_pointer_escapes_slashes_and_tildes(owner: httpx.Client) -> None:
    response = owner.post(
        "/conversations", content='{"metadata": {"a/b~c": "\\u0000"}}', headers=JSON
    )

    assert places(assert_problem(response, 422)) == {"body:/metadata/a~1b~0c"}


def test_errors_do_not_repeat_what_was_sent(owner: httpx.Client, kept_rows: Rows) -> None:
    secret = "hunter2"
    long = secret * 50
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/conversations", {"title": long, "source": long, "metadata": long}),
        ("POST", "/conversations", {"is_private": secret, "agent_id": [secret]}),
        ("POST", "/conversations", secret),
        ("POST", "/runs", {"agent_id": long, "status": secret, "conversation_id": secret}),
        ("PATCH", f"/runs/{kept_rows['run_id']}", {"status": secret, "output": [secret]}),
        ("PUT", "/users/me/chat-settings", {"model": long, "enabled_agents": [secret]}),
        (
            "POST",
            f"/conversations/{kept_rows['conversation_id']}/messages",
            {"role": secret, "content": [secret], "attachments": [secret], "tool_calls": secret},
        ),
    ]
    answers = [owner.request(method, path, json=body) for method, path, body in bodies]
    answers += [
        owner.get("/conversations", params={name: long})
        for name in ("limit", "order", "order_by", "source", "agent_id", "cursor")
    ]
    answers += [owner.get(f"/runs/{secret}"), owner.get("/runs", params={"status": secret})]

    for answer in answers:
        assert_problem(answer, 422)
        assert secret not in answer.text


def test_body_with_a_thousand_errors_gets_at_most_100(owner: httpx.Client) -> None:
    response = owner.put("/users/me/chat-settings", json={"enabled_agents": ["x"] * 1000})

    assert 1 <= len(assert_problem(response, 422)["errors"]) <= 100


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)


def is_kept(value: Any) -> bool:
    """Tell whether the contract stores `value`: no NUL, no surrogate, no too large number."""
    match value:
        case str():
            return not re.search("[\0\ud800-\udfff]", value)
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**64 or digits_of(value) == str(value)
        case float():
            return abs(value) < float("inf")
        case list():
            return all(map(is_kept, value))
        case _:
            return all(map(is_kept, [*value, *value.values()]))


@EVERY_OPERATION_WITH_A_BODY
@given(data=st.data())
@PROPERTY
def test_any_document_is_accepted_or_refused(
    operation: Operation, owner: httpx.Client, kept_rows: Rows, data: st.DataObject
) -> None:
    names = sorted({*operation.example, *COMPLETE.get(operation.operation_id, {})}) or ["position"]
    changed = data.draw(st.dictionaries(st.sampled_from(names), JSON_VALUES, max_size=3))
    document = data.draw(JSON_VALUES | st.just(operation.body(kept_rows) | changed))

    response = operation.send(owner, kept_rows, content=json.dumps(document), headers=JSON)

    assert response.status_code in {operation.success, 400, 409, 422}, response.text
    assert response.status_code in operation.statuses
    if response.status_code in (400, 422) and document == operation.body(kept_rows):
        pytest.fail(response.text)


def is_same(sent: Any, got: Any) -> bool:
    """Compare JSON; floating-point numbers may have another notation."""
    match sent:
        case float():
            return isinstance(got, int | float) and sent == float(got)
        case dict():
            return sent.keys() == got.keys() and all(is_same(sent[k], got[k]) for k in sent)
        case list():
            return len(sent) == len(got) and all(map(is_same, sent, got))
        case _:
            return type(sent) is type(got) and bool(sent == got)


@given(metadata=st.dictionaries(st.text(st.characters(), max_size=10), JSON_VALUES, max_size=4))
@PROPERTY
def test_create_conversation_stores_any_metadata_that_it_accepts(
    owner: httpx.Client, metadata: dict[str, Any]
) -> None:
    content = json.dumps({"metadata": metadata})

    response = owner.post("/conversations", content=content, headers=JSON)

    if is_kept(metadata):
        assert response.status_code == 201, response.text
        assert is_same(metadata, response.json()["metadata"])
    else:
        assert_problem(response, 422 if is_json(content) else 400)


def is_json(text: str) -> bool:
    """Tell whether `text` is JSON, without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def test_422_about_long_keys_is_short(owner: httpx.Client) -> None:
    values = ["\x00"] * 60

    response = owner.post("/conversations", json={"metadata": {"k" * 100_000: values}})

    problem = assert_problem(response, 422)
    assert {error["pointer"] for error in problem["errors"]} == {"/metadata"}
    assert len(response.content) < 10_000


def test_large_invalid_body_is_refused_quickly(owner: httpx.Client) -> None:
    rows = make_rows(owner)
    body = b'{"role":"user","content":"x","attachments":[' + b"0," * 500_000 + b"0]}"

    response = owner.post(
        f"/conversations/{rows['conversation_id']}/messages", content=body, headers=JSON
    )

    (error,) = assert_problem(response, 422)["errors"]
    assert error["pointer"].startswith("/attachments")
    assert response.elapsed.total_seconds() < 20  # listing all errors took minutes
