"""Replays the story that the contract's examples tell.

The examples belong to the user maria.keller; the replay uses a new user. The server's ids, times
and tags differ from the examples', but each of the examples always stands for the same real one.
Expected documents come from the contract, so a new property needs no edit here.
"""

import base64
import hashlib
import re
from typing import Any

import httpx

from tests import contract
from tests.calls import TIME
from tests.contract import Operation
from tests.live.following import frames
from tests.log_watch import UUID
from tests.servers import sign

MARIA = "maria.keller"
TAG = re.compile(r'"[0-9a-f]{32}"')
LEASE = re.compile(r"[\w-]{80,2048}", re.ASCII)
SECRET = re.compile(r"(/shared/)?[\w-]{43}", re.ASCII)
CURSOR_START = "WyJ"
"""How every cursor starts: `["` in base64."""

STORY: list[tuple[str, str]] = [
    ("get_health", "ok"),
    ("get_readiness", "ready"),
    ("get_chat_settings", "defaults"),
    ("update_chat_settings", "save"),
    ("get_chat_settings", "saved"),
    ("create_conversation", "chat"),
    ("create_message", "question"),
    ("create_run", "pending"),
    ("update_run", "start"),
    ("append_run_events", "words"),
    ("list_run_events", "page"),
    ("list_changes", "new"),
    ("list_changes", "position"),
    ("stream_changes", "changes"),
    ("create_message", "flat_decision"),
    ("create_message", "nested_decision"),
    ("update_run", "succeed"),
    ("create_message", "agentic_decision"),
    ("get_run", "succeeded"),
    ("stream_run_events", "stream"),
    ("list_runs", "page"),
    ("get_conversation", "with_messages"),
    ("get_conversation", "without_messages"),
    ("list_messages", "page"),
    ("list_messages", "last_page"),
    ("search", "lease_offers"),
    ("get_message", "flat_decision"),
    ("update_message", "correct"),
    ("list_message_versions", "page"),
    ("set_feedback", "helpful"),
    ("get_message", "rated"),
    ("delete_feedback", ""),
    ("update_conversation", "rename"),
    ("update_conversation", "make_private"),
    ("share_conversation", "viewer"),
    ("share_conversation", "editor"),
    ("list_shares", "editor"),
    ("unshare_conversation", ""),
    ("create_link", "handover"),
    ("list_links", "handover"),
    ("get_shared_conversation", "handover"),
    ("delete_link", ""),
    ("mark_conversation_read", "everything"),
    ("mark_conversation_read", "answer"),
    ("update_conversation", "organise"),
    ("list_conversations", "page"),
    ("bulk_update_conversations", "tag"),
    ("bulk_update_conversations", "archive"),
    ("update_chat_settings", "reset"),
    ("create_chat_attachment", "floor_plan"),
    ("create_message", "floor_plan"),
    ("get_chat_attachment", "in_message"),
    ("list_chat_attachments", "page"),
    ("delete_chat_attachment", ""),
    ("create_message", "short_answer"),
    ("list_messages", "all_branches"),
    ("fork_conversation", "short_answer"),
    ("activate_message", "first_answer"),
    ("create_run", "follow_up"),
    ("claim_run", "claimed"),
    ("heartbeat_run", "extended"),
    ("cancel_run", "requested"),
    ("update_run", "stop"),
    ("delete_message", ""),
    ("delete_conversation", ""),
]
"""The operations in the order of the story, with the name of the example that each returns."""

QUERIES = {
    "last_page": {
        "cursor": contract.CONTRACT["components"]["parameters"]["MessageCursor"]["example"]
    },
    "all_branches": {"branches": "all", "order": "desc", "limit": 3},
    "stream": {"after": 1},
    "new": {"after": 1},
    "changes": {"after": 3},
    "with_messages": {"include_messages": True},
    "without_messages": {"include_messages": False},
    # The messages of a replay are newer than those of the story.
    "lease_offers": {"created_before": "9999-01-01T00:00:00Z"},
}
"""The queries of these examples; the others use the examples of their parameters."""

OPERATIONS = {operation.operation_id: operation for operation in contract.OPERATIONS}
CLAIMED = OPERATIONS["claim_run"].responses[200]["claimed"]
BY_THE_WORKER = {("claim_run", "claimed"), ("heartbeat_run", "extended"), ("update_run", "stop")}
"""The scenes in which the worker acts, with its own token and the lease."""
OF_THE_SECOND_RUN = {"extended", "requested", "stop"}
"""The scenes about the run that the worker claims."""


def reader(user_id: str) -> str:
    """Return how a cursor names its user."""
    return hashlib.blake2b(user_id.encode(), digest_size=8).hexdigest()


class Cast:
    """Maps the ids, times and user of the examples to the real ones."""

    def __init__(self, user_id: str) -> None:
        # An agent of its own, so that no other test's run is claimed.
        agent = f"agent of {user_id}"
        self.real = {MARIA: user_id, reader(MARIA): reader(user_id), "document-agent": agent}

    def replace(self, value: Any) -> Any:
        """Return an example with the real ids, times and user."""
        match value:
            case dict():
                return {name: self.replace(item) for name, item in value.items()}
            case list():
                return [self.replace(item) for item in value]
            case str() if value in self.real:
                return self.real[value]
            case str() if value.startswith(CURSOR_START):
                return self._cursor(value)
        return value

    def _cursor(self, example: str) -> str:
        """Return the cursor with the real ids and times, which say where its page ends."""
        text = base64.urlsafe_b64decode(example + "=" * (-len(example) % 4)).decode()
        for one, other in self.real.items():
            text = text.replace(one, other)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def learn(self, example: Any, response: Any) -> None:
        """Remember which real ids and times stand where the example has new ones."""
        match example, response:
            case dict(), dict():
                for name in example.keys() & response.keys():
                    self.learn(example[name], response[name])
            case list(), list():
                for one, other in zip(example, response, strict=False):
                    self.learn(one, other)
            case str(), str():
                for kind in (UUID, TIME, TAG, LEASE, SECRET):
                    if kind.fullmatch(example) and kind.fullmatch(response):
                        self.real.setdefault(example, response)

    def times(self) -> list[str]:
        """Return the real times in the order of the story's."""
        return [self.real[time] for time in sorted(self.real) if TIME.fullmatch(time)]


class Play:
    """The story as far as it was played: the response to each scene, and the expected document."""

    def __init__(self, client: httpx.Client) -> None:
        """Prepare the story. The client's user must not have any rows yet."""
        self.client = client
        self.cast = Cast(client.get("/users/me/chat-settings").json()["user_id"])
        self.responses: dict[tuple[str, str], httpx.Response] = {}
        self.expected: dict[tuple[str, str], Any] = {}

    def until(self, operation_id: str, example: str) -> "Play":
        """Play the story up to and including the named example."""
        for scene in STORY:
            if scene not in self.responses:
                self._play(*scene)
            if scene == (operation_id, example):
                return self
        raise AssertionError(f"the story has no scene {operation_id}, {example!r}")

    def _play(self, operation_id: str, name: str) -> None:
        operation = OPERATIONS[operation_id]
        headers = self.as_worker() if (operation_id, name) in BY_THE_WORKER else {}
        path = {"run_id": CLAIMED["run"]["id"]} if name in OF_THE_SECOND_RUN else {}
        body = operation.requests.get(name)
        example = operation.responses[operation.success].get(name)
        blocks = example.count("\n\n") if isinstance(example, str) else 1
        query = QUERIES.get(name, {})
        response = self.send(operation, query, body, headers=headers, path=path, blocks=blocks)
        self.responses[operation_id, name] = response
        if name and response.status_code == operation.success:
            self.cast.learn(document(example), document(response))
            self.expected[operation_id, name] = self.cast.replace(document(example))

    def as_worker(self) -> dict[str, str]:
        """Return the headers of the worker: its token, and its lease if it has one."""
        lease = self.cast.real.get(CLAIMED["lease"])
        headers = {"Authorization": f"Bearer {sign('worker-1', scope='runs:work')}"}
        return headers if lease is None else headers | {"Run-Lease": lease}

    def send(
        self,
        operation: Operation,
        query: dict[str, Any],
        body: Any,
        *,
        headers: dict[str, str] | None = None,
        path: dict[str, str] | None = None,
        blocks: int = 1,
    ) -> httpx.Response:
        """Send a request; a parameter that `query` or `path` leaves out gets its example."""
        ids = parameter_examples(operation, "path") | (path or {})
        examples = self.cast.replace(parameter_examples(operation, "query"))
        for name in ("cursor", "after"):  # they lead to a later page
            examples.pop(name, None)
        return contract.request(
            self.client,
            operation.method,
            operation.path.format_map(self.cast.replace(ids)),
            blocks=blocks,
            headers=headers,
            params=examples | self.cast.replace(query),
            json=None if body is None else self.cast.replace(body),
        )


def document(content: Any) -> Any:
    """Return the document of an example or a response; of a stream, the list of its events."""
    if isinstance(content, httpx.Response):
        is_stream = content.headers["content-type"].startswith("text/event-stream")
        content = content.text if is_stream else content.json()
    if not isinstance(content, str):
        return content
    return [frame._asdict() for frame in frames(content.split("\n"))]


def parameter_examples(operation: Operation, place: str) -> dict[str, Any]:
    """Return the examples of the parameters in `place` by their names."""
    return {p["name"]: p["example"] for p in operation.parameters if p["in"] == place}
