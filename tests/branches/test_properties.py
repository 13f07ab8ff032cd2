"""Random posts, switches and deletions have the results that a simple model has."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.branches.calls import activate, contents, fork, path_of, tree_of
from tests.branches.model import Model, Posted
from tests.calls import (
    Json,
    get_conversation,
    messages_of,
    new_conversation,
    post_message,
    read_all,
)
from tests.servers import Server

ACTS = ("post", "post", "reply", "reply", "sibling", "activate", "delete")
STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 10**6)), max_size=25)


class Both:
    """A conversation and its model, to which the same is done."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.model = Model()
        self.conversation = new_conversation(client)
        self.ids: dict[Posted, str] = {}
        self.updated_at = self.conversation["updated_at"]
        self.posted = 0

    def do(self, act: str, number: int) -> None:
        """Do one thing, to one of the messages if it needs one."""
        some = None
        if self.model.messages:
            some = self.model.messages[number % len(self.model.messages)]
        if some is None or act == "post":
            self._post(self.model.leaf, number, {})
        elif act == "reply":
            self._post(some, number, {"parent_id": self.ids[some]})
        elif act == "sibling":
            self._post(some.parent, number, {"sibling_of": self.ids[some]})
        elif act == "activate":
            self.model.activate(some)
            activate(self.client, self.conversation, {"id": self.ids[some]})
        else:
            self.model.delete(some)
            response = self.client.delete(f"/messages/{self.ids[some]}")
            assert response.status_code == 204

    def _post(self, parent: Posted | None, number: int, place: dict[str, str]) -> None:
        self.posted += 1
        role = ("user", "assistant")[number % 2]
        new = self.model.post(f"message {self.posted}", parent, role)
        made = post_message(self.client, self.conversation, new.content, role=role, **place)
        self.ids[new] = made["id"]
        self.updated_at = made["created_at"]
        assert self._place(made) == self._expected(new)

    def _expected(self, message: Posted) -> dict[str, Any]:
        siblings = self.model.siblings(message)
        return {
            "content": message.content,
            "parent_id": None if message.parent is None else self.ids[message.parent],
            "sibling_index": siblings.index(message) + 1,
            "sibling_count": len(siblings),
            "active": message in self.model.path(),
        }

    def _place(self, document: Json) -> dict[str, Any]:
        names = ("content", "parent_id", "sibling_index", "sibling_count", "active")
        return {name: document[name] for name in names}

    def check(self) -> None:
        """Compare everything that shows the messages."""
        tree, path = (
            tree_of(self.client, self.conversation),
            path_of(self.client, self.conversation),
        )
        active = self.model.path()
        assert [self._place(each) for each in tree] == [
            self._expected(each) for each in self.model.messages
        ]
        assert [self._place(each) for each in path] == [self._expected(each) for each in active]
        messages = messages_of(self.conversation)
        for limit in (1, 3):
            for branches, found in (("active", path), ("all", tree)):
                query = {"limit": limit, "branches": branches}
                assert read_all(self.client, messages, **query) == found
                assert read_all(self.client, messages, **query, order="desc") == found[::-1]
        for each in tree:
            assert self.client.get(f"/messages/{each['id']}").json() == each
        stored = get_conversation(self.client, self.conversation)
        assert stored["message_count"] == len(active)
        assert stored["updated_at"] == self.updated_at
        assert (stored["last_message"] or {}).get("content") == (
            active[-1].content if active else None
        )
        embedded = self.client.get(f"/conversations/{self.conversation['id']}").json()["messages"]
        assert embedded == path


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    """Return the client of one user for all examples: each has a conversation of its own."""
    with server.client(f"branches-{uuid.uuid4()}") as client:
        yield client


@given(steps=STEPS)
def test_branches_are_those_of_a_simple_model(client: httpx.Client, steps: list[Any]) -> None:
    both = Both(client)
    for act, number in steps:
        both.do(act, number)
    both.check()
    assert contents(client, fork(client, both.conversation)) == [
        each.content for each in both.model.path()
    ]
    if both.model.messages:
        some = both.model.messages[len(steps) % len(both.model.messages)]
        copy = fork(client, both.conversation, up_to=both.ids[some])
        assert contents(client, copy) == [each.content for each in both.model.path(some)]
