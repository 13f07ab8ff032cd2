"""Real ids, cursors, tags and keys, which replace those that Schemathesis generates."""

import uuid
from typing import Any, TypeGuard

import httpx
import schemathesis
from schemathesis.core.parameters import ParameterLocation

NAMES = ("run_id", "message_id", "conversation_id", "attachment_id")
HELLO = {"role": "user", "content": "Hello"}
FILE = {"filename": "lease.pdf", "file_url": "s3://leases/lease.pdf"}


class Owner:
    """A user with one row of each kind, and two messages in a conversation."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self._kept = {name: self.new(name) for name in NAMES}
        self._ended = self.new("run_id")
        assert client.patch(f"/runs/{self._ended}", json={"status": "failed"}).status_code == 200
        for _ in range(2):
            self._post(f"/conversations/{self._kept['conversation_id']}/messages", HELLO)

        made = client.post(f"/conversations/{self._kept['conversation_id']}/links", json={})
        self.secret: str = made.json()["secret"]

    def existing(self, name: str, method: str) -> str:
        """Return the id of a row; of a new row if the method may change or delete it."""
        return self._kept[name] if method == "GET" else self.new(name)

    def ended(self) -> str:
        """Return the id of a run whose stream of events ends."""
        return self._ended

    def new(self, name: str) -> str:
        """Return the id of a new row for the parameter `name`."""
        match name:
            case "conversation_id":
                return self._post("/conversations", {})
            case "message_id":
                return self._post(f"/conversations/{self.new('conversation_id')}/messages", HELLO)
            case "run_id":
                return self._post("/runs", {"agent_id": "document-agent"})
            case "attachment_id":
                return self._post("/chat-attachments", FILE)
        raise AssertionError(f"add the way to create a {name} here")

    def share(self, conversation_id: str) -> str:
        """Share a conversation, and return the id of the member."""
        share = {"user_id": "jonas.weber", "role": "viewer"}
        self._post(f"/conversations/{conversation_id}/shares", share)
        return share["user_id"]

    def link(self, conversation_id: str) -> str:
        """Create a link to a conversation, and return its id."""
        return self._post(f"/conversations/{conversation_id}/links", {})

    def _post(self, path: str, body: dict[str, Any]) -> str:
        response = self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        row_id: str = response.json()["id"]
        return row_id


class Rows:
    """Replaces generated ids, cursors, tags and keys by real ones."""

    def __init__(self, maria: Owner, somebody_else: Owner) -> None:
        self.maria, self.somebody_else = maria, somebody_else

    def use_real_rows(self, case: schemathesis.Case) -> None:
        """Use ids of real rows, mostly MARIA's, unless the generated path is invalid on purpose."""
        assert case.meta is not None
        if not case.meta.is_negative_at(ParameterLocation.PATH):
            for name in case.path_parameters.keys() - {"user_id", "link_id", "secret"}:
                drawn = case.path_parameters[name]
                # The choice depends on the generated id, so that shrinking repeats the request.
                owner = [None, self.somebody_else, *[self.maria] * 6][uuid.UUID(drawn).int % 8]
                if owner is not None and case.path.endswith("/events/stream"):
                    case.path_parameters[name] = owner.ended()
                elif owner is not None:
                    case.path_parameters[name] = owner.existing(name, case.method)
                    if "user_id" in case.path_parameters:
                        case.path_parameters["user_id"] = owner.share(case.path_parameters[name])
                    if "link_id" in case.path_parameters:
                        case.path_parameters["link_id"] = owner.link(case.path_parameters[name])
            if "secret" in case.path_parameters:
                case.path_parameters["secret"] = self.maria.secret
        self.use_real_references(case)

    def use_real_references(self, case: schemathesis.Case) -> None:
        """Use real ids in the body, a real cursor and a new key; others would all get a 422."""
        assert case.meta is not None
        is_wrong = case.meta.is_negative_at(ParameterLocation.HEADER)
        # Schemathesis cannot generate a valid value for a pattern with quotes. It then sends an
        # invalid one in a case that it considers valid.
        is_mixed = is_wrong and case.meta.generation.mode.is_positive
        for name in {"If-Match", "If-None-Match"} & case.headers.keys():
            # A generated tag never matches, so every response would be a 412.
            if is_mixed or (name == "If-Match" and not is_wrong):
                case.headers[name] = "*"
        # A used key is rejected, which no schema can express.
        if "Idempotency-Key" in case.headers and (is_mixed or not is_wrong):
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
        if case.meta.generation.mode.is_positive:
            _keep_rules_in_words(case)
        if isinstance(case.body, dict):
            if case.body.get("attachment_ids") and case.meta.generation.mode.is_positive:
                case.body["attachment_ids"] = [self.maria.new("attachment_id")]
            if case.path.endswith("/active-message") and case.meta.generation.mode.is_positive:
                case.body["message_id"] = self._message_in(case.path_parameters["conversation_id"])
            for name in {"run_id", "conversation_id"} & case.body.keys():
                drawn = case.body[name]
                if is_uuid(drawn) and not self._is_marias(name, drawn):
                    case.body[name] = self.maria.new(name)
        if "cursor" in case.query and not case.meta.generation.mode.is_negative:
            names = {"order", "order_by", "branches"} & case.query.keys()
            order = {name: case.query[name] for name in names}
            words = {"q": case.query["q"]} if "q" in case.query else {}
            params = {"limit": 1, **order, **words}
            page = self.maria.client.get(case.formatted_path, params=params)
            del case.query["cursor"]
            if (cursor := page.json().get("next_cursor")) is not None:
                case.query.pop("offset", None)
                case.query["cursor"] = cursor

    def _message_in(self, conversation_id: str) -> str:
        """Return the id of a new message in the conversation, or elsewhere if it is not MARIA's."""
        path = f"/conversations/{conversation_id}"
        if not self.maria.client.get(path).is_success:
            return self.maria.new("message_id")
        made: str = self.maria.client.post(f"{path}/messages", json=HELLO).json()["id"]
        return made

    def _is_marias(self, name: str, row_id: str) -> bool:
        return self.maria.client.get(f"/{name.removesuffix('_id')}s/{row_id}").is_success


def _keep_rules_in_words(case: schemathesis.Case) -> None:
    """Change what several properties break together, and positions that the log does not have."""
    if case.path == "/search":  # needs a word, and times of a calendar
        case.query["q"] = "hello"
        for name in {"created_after", "created_before"} & case.query.keys():
            case.query[name] = "2026-03-02T00:00:00Z"
    if case.path.startswith("/changes") and "after" in case.query:
        case.query["after"] = 0
    if isinstance(case.body, dict):
        if case.body.get("expires_at"):  # must be in the future
            case.body["expires_at"] = "2036-04-01T00:00:00Z"
        if case.body.get("message"):  # needs a status that ends a run of a conversation
            case.body["message"] = None
        if (
            case.body.get("if_busy") in ("queue", "replace")
            and case.body.get("status") == "running"
        ):
            case.body["if_busy"] = "allow"
        if case.path.endswith("/read"):  # needs a message of the conversation
            case.body["message_id"] = None
        for name in ("parent_id", "sibling_of", "up_to"):  # like these
            if case.body.get(name):
                case.body[name] = None
        _keep_tags_visible(case.body)
        if case.path == "/conversations/bulk":
            _keep_rules_of_bulk_changes(case.body)


def _keep_tags_visible(body: dict[str, Any]) -> None:
    if body.get("tags"):
        body["tags"] = [f"{tag[:-1]}t" for tag in body["tags"]]


def _keep_rules_of_bulk_changes(body: dict[str, Any]) -> None:
    """Leave either ids or a filter that selects something, and tags for actions that need them."""
    if body.get("ids"):
        body["filter"] = None
    else:
        body |= {"ids": None, "filter": {"tag": "leases"}}
    body["tags"] = body.get("tags") or ["leases"]


def is_uuid(value: object) -> TypeGuard[str]:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False
