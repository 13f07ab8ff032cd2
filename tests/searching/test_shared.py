"""search finds messages of shared conversations, for as long as they are shared."""

from collections.abc import Callable

import httpx
import pytest

from tests.calls import Json, change, new_conversation, post_message, read_all
from tests.editing import edit
from tests.searching.calls import SEARCH, found, highlighted, search
from tests.sharing.members import share, unshare, user_of


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_search_finds_messages_of_shared_conversations(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, role: str
) -> None:
    message = post_message(alice, conversation, "The shared lease")
    post_message(alice, new_conversation(alice), "The private lease")
    share(alice, conversation["id"], bob, role)
    own = post_message(bob, new_conversation(bob), "My lease and many other words")

    results = search(bob, "lease")

    assert [result["message_id"] for result in results] == [message["id"], own["id"]]
    assert [result["conversation"]["role"] for result in results] == [role, "owner"]
    assert results[0]["conversation"]["shared_by"] == user_of(alice)
    assert highlighted(results[0]) == ["lease"]
    assert found(bob, "lease", shared=True) == [message["id"]]
    assert found(bob, "lease", shared=False) == [own["id"]]
    assert found(bob, "lease", conversation_id=conversation["id"]) == [message["id"]]
    assert found(bob, "private") == []
    # The score of a message is the same for all who can read it.
    of_alice = search(alice, "lease", conversation_id=conversation["id"])
    assert [result["score"] for result in of_alice] == [results[0]["score"]]


def test_search_finds_nothing_after_the_end_of_a_share(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    post_message(alice, conversation, "The lease")
    post_message(bob, conversation, "A lease of an editor")
    assert len(found(bob, "lease")) == 2

    unshare(alice, conversation["id"], bob)

    assert found(bob, "lease", archived="all") == []
    assert len(found(alice, "lease")) == 2


def test_search_finds_what_an_editor_has_made_of_a_message(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    message = post_message(bob, conversation, "The cheap lease")

    edit(bob, message, content="The dear lease")

    for user in (alice, bob):
        assert found(user, "cheap") == []
        assert found(user, "dear") == [message["id"]]


def test_search_finds_nothing_of_a_deleted_shared_conversation(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    post_message(alice, conversation, "The lease")
    assert len(found(bob, "lease")) == 1

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    assert found(bob, "lease") == []


def test_search_pages_merge_the_messages_of_several_owners(
    alice: httpx.Client, bob: httpx.Client, new_client: Callable[..., httpx.Client]
) -> None:
    for number, owner in enumerate([alice, new_client(), new_client(), bob], 1):
        for _ in range(2):
            conversation = new_conversation(owner)
            post_message(owner, conversation, "lease " * number + "and more")
            post_message(owner, conversation, "lease and the same words")
            if owner is not bob:
                share(owner, conversation["id"], bob)
    all_at_once = search(bob, "lease", limit=50)

    results = read_all(bob, SEARCH, q="lease", limit=3)

    assert results == all_at_once
    assert len({result["message_id"] for result in results}) == 16
    order = [(result["score"], result["created_at"]) for result in results]
    assert order == sorted(order, reverse=True)


def test_search_uses_what_each_member_has_archived(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    message = post_message(alice, conversation, "The lease")["id"]

    change(alice, f"/conversations/{conversation['id']}", archived=True)
    assert (found(alice, "lease"), found(bob, "lease")) == ([], [message])
    assert not search(bob, "lease")[0]["conversation"]["archived"]

    change(alice, f"/conversations/{conversation['id']}", archived=False)
    change(bob, f"/conversations/{conversation['id']}", archived=True)
    assert (found(alice, "lease"), found(bob, "lease")) == ([message], [])
    assert search(bob, "lease", archived="true")[0]["conversation"]["archived"]


def test_search_filters_shared_conversations(alice: httpx.Client, bob: httpx.Client) -> None:
    web = new_conversation(alice, source="web", agent_id="a")
    app = new_conversation(alice, source="app", agent_id="b")
    decision = {"selected_tools": ["t"], "selected_agents": ["chosen"]}
    for conversation in (web, app):
        share(alice, conversation["id"], bob)
    first = post_message(alice, web, "lease", role="assistant", routing_decision=decision)
    second = post_message(alice, app, "lease")

    assert found(bob, "lease", source="web") == [first["id"]]
    assert found(bob, "lease", agent_id="b") == [second["id"]]
    assert found(bob, "lease", agent_id="chosen") == [first["id"]]
    assert found(bob, "lease", role="user") == [second["id"]]
    assert found(bob, "lease", created_before=second["created_at"]) == [first["id"]]
    assert found(bob, "lease", source="other") == []


def test_private_messages_of_an_owner_change_no_result_of_a_member(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    post_message(alice, conversation, "The lease and the rent")
    before = search(bob, "lease or rent")

    for _ in range(30):
        post_message(alice, new_conversation(alice), "lease rent lease")

    assert search(bob, "lease or rent", limit=1) == before
