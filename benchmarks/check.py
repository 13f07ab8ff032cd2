"""Holds the servers against each other: equal answers, before anything is timed."""

from collections.abc import Sequence
from dataclasses import astuple
from itertools import zip_longest
from typing import Any

import httpx
import orjson

from benchmarks.servers import Server
from benchmarks.workload import Call, Workload, token

NOBODY = "00000000-0000-4000-8000-000000000000"
WRITER = "writer"
STRANGER = "somebody else"
ABSENT = "nothing"
A_CURSOR = "a cursor"
REFUSED = (400, 404, 422)
PER_OPERATION = 24
# What differs from one message to the next, whoever makes it.
OF_ITS_OWN = ("id", "conversation_id", "created_at", "parent_id")

Answer = tuple[int, Any]


class NotEqual(Exception):
    """Two servers answered differently."""


def check_all(servers: Sequence[Server], workload: Workload) -> int:
    """Compare reads, refusals and writes; return how many requests each server answered."""
    ours, *peers = [_Caller(server) for server in servers]
    calls = [call for call in _reads(workload) for call in (call, _by_a_stranger(call))]
    calls += _missing(workload)
    count = 0
    for call in calls:
        pages = ours.answers(call)
        count += len(pages)
        for peer in peers:
            _compare(peer.name, call.path, peer.answers(call), pages)
    invalid = _invalid(workload)
    for caller in (ours, *peers):
        for call in invalid:
            status = caller.send(call).status_code
            _compare(caller.name, f"{call.path} {call.body!r}: refused", status in REFUSED, True)
    run = ours.answer(Call(WRITER, "/runs", b'{"agent_id": "analyst"}'))[1]["id"]
    stories = [_write(ours, caller, run, workload) for caller in (ours, *peers)]
    for peer, story in zip(peers, stories[1:], strict=True):
        for number, (got, expected) in enumerate(zip(story, stories[0], strict=True)):
            _compare(peer.name, f"step {number} of the messages", got, expected)
    return count + len(invalid) + len(stories[0])


class _Caller:
    """A client of one server."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self._client = httpx.Client(base_url=server.url, timeout=30)

    def send(self, call: Call) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token(call.user)}"}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return self._client.request(call.method, call.path, content=call.body, headers=headers)

    def answer(self, call: Call) -> Answer:
        response = self.send(call)
        try:
            return response.status_code, orjson.loads(response.content)
        except orjson.JSONDecodeError:  # it failed, and says so in plain text
            return response.status_code, response.text

    def answers(self, call: Call, cursor: str = "") -> list[Answer]:
        """Return the answer and, for a page, also the pages after it.

        A cursor means something only to the server that wrote it, so each follows its own.
        """
        mark = "&" if "?" in call.path else "?"
        path = f"{call.path}{mark}cursor={cursor}" if cursor else call.path
        status, body = self.answer(Call(call.user, path))
        following = status == 200 and body.get("next_cursor")
        if not following:
            return [(status, body)]
        body["next_cursor"] = A_CURSOR
        if "offset" in path:
            return [(status, body)]
        return [(status, body), *self.answers(call, following)]


def _compare(name: str, what: str, got: Any, expected: Any) -> None:
    if got != expected:
        place, theirs, ours = _difference(got, expected)
        raise NotEqual(
            f"{what}: at {place or 'the top'} {name} has {theirs!r:.60}, ours has {ours!r:.60}."
            " Fix the peer, in benchmarks/peers."
        )


def _difference(got: Any, expected: Any, place: str = "") -> tuple[str, Any, Any]:
    """Return the first place where two JSON values differ, and what is there in each."""
    if type(got) is type(expected) and isinstance(got, dict):
        keys = dict.fromkeys([*expected, *got])
        pairs = [(f".{key}", got.get(key, ABSENT), expected.get(key, ABSENT)) for key in keys]
    elif type(got) is type(expected) and isinstance(got, list | tuple):
        pairs = [
            (f"[{index}]", *pair)
            for index, pair in enumerate(zip_longest(got, expected, fillvalue=ABSENT))
        ]
    else:
        return place, got, expected
    for step, theirs, ours in pairs:
        if theirs != ours:
            return _difference(theirs, ours, place + step)
    return place, got, expected


def _reads(workload: Workload) -> list[Call]:
    """Some of each operation's calls, and variants of them with other parameters."""
    calls = []
    for name, given in workload.items():
        if name != "create_message":
            calls += given[:PER_OPERATION]
    for call in workload["list_conversations"][:4]:
        for query in (
            "limit=7&offset=3&order_by=updated_at&order=asc",
            "order_by=updated_at&source=web",
            "source=web&agent_id=analyst&order=asc",
            "source=nothing",
            "offset=1000",
        ):
            calls.append(Call(call.user, f"/conversations?{query}"))
    for call in workload["get_conversation"][:4]:
        for query in ("include_messages=false", "message_limit=3&message_offset=2"):
            calls.append(Call(call.user, f"{call.path}?{query}"))
    return [*calls, Call("nobody", "/users/me/chat-settings"), Call("nobody", "/conversations")]


def _by_a_stranger(call: Call) -> Call:
    return Call(STRANGER, call.path)


def _missing(workload: Workload) -> list[Call]:
    user = workload["list_conversations"][0].user
    return [Call(user, f"/conversations/{NOBODY}"), Call(user, f"/messages/{NOBODY}")]


def _invalid(workload: Workload) -> list[Call]:
    """Requests that break a rule of the contract."""
    user, path, _ = astuple(workload["create_message"][0])
    queries = ("limit=0", "limit=x", "offset=-1", "order=up", "source=", "cursor=$")
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"role": "robot", "content": ""},
        {"role": "user", "content": "", "run_id": "7"},
        {"role": "user", "content": "", "metadata": []},
        {"role": "user", "content": "", "tool_calls": [1]},
        {"role": "user", "content": "", "attachments": [{"name": "a"}]},
    )
    return [
        *(Call(user, f"/conversations?{query}") for query in queries),
        *(Call(user, path) for path in ("/conversations/7", "/messages/7")),
        *(Call(user, path, orjson.dumps(body)) for body in bodies),
        Call(user, path, b"{"),
    ]


def _write(ours: _Caller, caller: _Caller, run: str, workload: Workload) -> list[Answer]:
    """Post to a new conversation; return what can be compared of the answers and of what is kept.

    The conversation is made and read by our server, and only the messages by the one in question.
    """
    user = WRITER
    started = ours.answer(Call(user, "/conversations", b"{}"))[1]
    path = f"/conversations/{started['id']}"
    bodies: list[dict[str, Any]] = [
        {"role": "user", "content": " \n" + "Which region grew fastest? " * 9},
        *(orjson.loads(call.body or b"") for call in workload["create_message"][:4]),
        {"role": "assistant", "content": "", "run_id": run, "metadata": {"a": [1, 2.5, None]}},
        {"role": "system", "content": "x" * 150, "attachments": [_attachment()], "tool_calls": []},
    ]
    story: list[Answer] = []
    posted = []
    for body in bodies:
        response = caller.send(Call(user, f"{path}/messages", orjson.dumps(body)))
        _compare(caller.name, "the status of a new message", response.status_code, 201)
        message = response.json()
        posted.append(message)
        _compare(
            caller.name, "Location", response.headers["location"], f"/messages/{message['id']}"
        )
        story.append((201, _but(message, OF_ITS_OWN)))
    kept = ours.answer(Call(user, path))[1]
    _compare(caller.name, "what was posted", posted, kept.pop("messages"))
    newest = posted[-1]["created_at"]
    for moment in (kept["updated_at"], kept["last_message"].pop("created_at")):
        _compare(caller.name, "the newest message's time", moment, newest)
    story.append((200, _but(kept, ("id", "created_at", "updated_at"))))
    first = orjson.dumps(bodies[0])
    story.append(caller.answer(Call(STRANGER, f"{path}/messages", first)))
    story.append(caller.answer(Call(user, f"/conversations/{NOBODY}/messages", first)))
    foreign = orjson.dumps({**bodies[0], "run_id": NOBODY})
    story.append((caller.send(Call(user, f"{path}/messages", foreign)).status_code, None))
    return story


def _attachment() -> dict[str, Any]:
    return {"name": "a.pdf", "type": "", "url": "s3://a/a.pdf", "size": 2, "page": {"from": 1}}


def _but(fields: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
