"""The client that the page makes from the contract."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route

from tests.browser.console import Console
from tests.contract import CONTRACT, OPERATIONS
from tests.servers import Server, sign

CALL = """async ({name, values, token}) => {
  const { connect } = await import("/app/client.js");
  window.refusals ??= [];
  window.api ??= await connect({
    token: () => window.secret,
    onUnauthorized: (problem) => window.refusals.push(problem.status),
  });
  window.secret = token;
  try {
    const { data, status, etag, location, headers } = await api[name](values);
    return { data, status, etag, location, id: headers.get("X-Request-Id") };
  } catch (error) {
    return { ...error, error: error.name, message: error.message, refusals };
  }
}"""


@pytest.fixture
def call(tab: Page, user: str) -> Any:
    """Return a function that calls an operation with the page's client."""
    token = sign(user)

    def make(name: str, values: dict[str, Any] | None = None, token: str | None = token) -> Any:
        return tab.evaluate(CALL, {"name": name, "values": values or {}, "token": token})

    return make


def test_client_has_a_function_for_each_operation(call: Any, tab: Page) -> None:
    call("get_health")

    names = tab.evaluate("Object.keys(api).filter((name) => typeof api[name] === 'function')")

    assert set(names) == {operation.operation_id for operation in OPERATIONS}
    assert tab.evaluate("api.contract.info.version") == CONTRACT["info"]["version"]


def test_arguments_become_path_query_header_and_body(call: Any, maria: httpx.Client) -> None:
    body = {"title": "Zoë's <b>plans</b>"}
    key = {"Idempotency-Key": "the-same"}
    made = call("create_conversation", {"body": body} | key)
    again = call("create_conversation", {"body": body} | key)
    id_ = made["data"]["id"]
    changed = call(
        "update_conversation",
        {"conversation_id": id_, "If-Match": made["etag"], "body": {"title": "New"}},
    )
    found = call("list_conversations", {"limit": 1, "order": "asc", "tag": None})
    read = call("get_conversation", {"conversation_id": id_, "If-None-Match": changed["etag"]})
    gone = call("delete_conversation", {"conversation_id": id_})

    assert (made["status"], made["location"]) == (201, f"/conversations/{id_}")
    assert again["data"] == made["data"]
    assert changed["etag"] != made["etag"]
    assert [row["title"] for row in found["data"]["conversations"]] == ["New"]
    assert (read["status"], read["data"]) == (304, None)
    assert (gone["status"], gone["data"]) == (204, None)
    assert maria.get("/conversations").json()["total"] == 0


def test_user_id_in_a_path_is_encoded(call: Any, maria: httpx.Client) -> None:
    id_ = maria.post("/conversations", json={}).json()["id"]
    for user in ("a/b", "a?b#c", "%2F", "Zoë", "a b+c", "...", "\\"):
        share = {"conversation_id": id_, "body": {"user_id": user, "role": "viewer"}}
        assert call("share_conversation", share)["status"] == 201, user

        gone = call("unshare_conversation", {"conversation_id": id_, "user_id": user})

        assert gone["status"] == 204, user
    assert maria.get(f"/conversations/{id_}/shares").json()["shares"] == []


def test_user_id_that_would_change_the_path_is_not_sent(call: Any, maria: httpx.Client) -> None:
    id_ = maria.post("/conversations", json={}).json()["id"]

    for user in (".", ".."):
        refused = call("unshare_conversation", {"conversation_id": id_, "user_id": user})
        assert refused["error"] == "TypeError"

    assert maria.get(f"/conversations/{id_}").status_code == 200


def test_wrong_arguments_are_type_errors_that_name_them(call: Any) -> None:
    for values, named in (
        ({"conversation_id": "1", "headline": "x"}, "headline"),
        ({"conversation_id": "1", "if-match": "x"}, "if-match"),
        ({}, "conversation_id"),
        ({"conversation_id": None}, "conversation_id"),
        ({"conversation_id": ""}, "conversation_id"),
    ):
        refused = call("update_conversation", values)
        assert refused["error"] == "TypeError"
        assert named in refused["message"]
        assert "update_conversation" in refused["message"]


def test_problem_has_the_mistakes_with_their_places(call: Any, console: Console) -> None:
    console.expect("422")

    problem = call("update_chat_settings", {"body": {"temperature": 3}})

    assert problem["error"] == "Problem"
    assert problem["status"] == 422
    assert problem["type"] == "/problems/validation-failed"
    assert problem["title"] == "Validation failed"
    assert problem["detail"] == problem["message"]
    assert problem["retryAfter"] is None
    assert problem["requestId"]
    (mistake,) = problem["errors"]
    assert (mistake["in"], mistake["pointer"]) == ("body", "/temperature")


def test_refused_token_is_reported(call: Any, console: Console) -> None:
    console.expect("401")

    call("list_conversations", token=None)
    problem = call("list_conversations", token="nonsense")

    assert (problem["status"], problem["type"]) == (401, "/problems/unauthorized")
    assert problem["refusals"] == [401, 401]


def test_operation_without_security_gets_no_token(call: Any, tab: Page) -> None:
    with tab.expect_request("**/healthz") as sent:
        assert call("get_health")["data"] == {"status": "ok"}

    assert "authorization" not in sent.value.headers


def test_answer_of_a_proxy_is_a_problem(call: Any, tab: Page, console: Console) -> None:
    console.expect("502", "503")
    answers = iter(
        [
            {"status": 502, "content_type": "text/html", "body": "<h1>Bad gateway</h1>"},
            {"status": 503, "headers": {"Retry-After": "7"}, "body": ""},
        ]
    )

    def answer(route: Route) -> None:
        route.fulfill(**next(answers))

    call("get_health")
    tab.route("**/conversations", answer)
    first, second = call("list_conversations"), call("list_conversations")

    assert (first["error"], first["status"], first["type"]) == ("Problem", 502, "about:blank")
    assert "502" in first["message"]
    assert (second["status"], second["retryAfter"]) == (503, 7)


def test_no_answer_is_offline(call: Any, tab: Page, console: Console) -> None:
    console.expect("ERR_INTERNET_DISCONNECTED")
    call("get_health")

    tab.context.set_offline(True)
    lost = call("list_conversations")
    tab.context.set_offline(False)
    back = call("list_conversations")

    assert (lost["error"], lost["message"]) == ("Offline", "The server cannot be reached.")
    assert back["status"] == 200


def test_caller_can_abort_a_call(call: Any, tab: Page) -> None:
    call("get_health")

    error = tab.evaluate("api.get_health({signal: AbortSignal.abort()}).catch((e) => e.name)")

    assert error == "AbortError"


def test_client_calls_the_api_that_the_page_came_from(call: Any, tab: Page, server: Server) -> None:
    call("get_health")

    assert tab.evaluate("api.base") == f"{server.url}/"
