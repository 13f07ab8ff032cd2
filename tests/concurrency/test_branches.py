"""Concurrent clients post, start branches, switch between them and delete messages."""

import random
from functools import partial

import httpx

from tests.branches.calls import path_of, tree_of
from tests.calls import Json, at_once, get_conversation, messages_of, post_message
from tests.concurrency.races import race

WRITERS = 12
STEPS = 12


def check(client: httpx.Client, conversation: Json) -> None:
    """Check that the tree is one, that its path is active, and that everything is counted."""
    tree, path = tree_of(client, conversation), path_of(client, conversation)
    by_id = {each["id"]: each for each in tree}
    assert len(by_id) == len(tree)
    times = [each["created_at"] for each in tree]
    assert times == sorted(set(times))
    replies: dict[str | None, list[str]] = {}
    for each in tree:
        assert each["parent_id"] is None or each["parent_id"] in by_id
        replies.setdefault(each["parent_id"], []).append(each["id"])
    for each in tree:
        siblings = replies[each["parent_id"]]
        assert each["sibling_count"] == len(siblings)
        assert siblings[each["sibling_index"] - 1] == each["id"]
    assert [each for each in tree if each["active"]] == path
    before = None
    for each in path:
        assert each["parent_id"] == before
        before = each["id"]
    assert before is None or before not in replies  # the path ends in a leaf
    stored = get_conversation(client, conversation)
    assert stored["message_count"] == len(path)
    last = stored["last_message"]
    assert (last and last["created_at"]) == (path[-1]["created_at"] if path else None)
    assert stored["unread_count"] <= len(path)


def act(client: httpx.Client, conversation: Json, seed: str) -> None:
    """Do random things. Others may have deleted the message meanwhile."""
    choice = random.Random(seed)  # repeatable, not secret
    messages = messages_of(conversation)
    for number in range(STEPS):
        found = tree_of(client, conversation)
        some = choice.choice(found)["id"] if found else None
        body = {"role": choice.choice(["user", "assistant"]), "content": f"{seed} {number}"}
        match choice.randrange(6) if some else 0:
            case 0 | 1:
                assert client.post(messages, json=body).status_code == 201
            case 2:
                response = client.post(messages, json=body | {"parent_id": some})
                assert response.status_code in (201, 422)
            case 3:
                response = client.post(messages, json=body | {"sibling_of": some})
                assert response.status_code in (201, 422)
            case 4:
                path = f"/conversations/{conversation['id']}/active-message"
                assert client.put(path, json={"message_id": some}).status_code in (200, 422)
            case _:
                assert client.delete(f"/messages/{some}").status_code in (204, 404)


@race(usual=1, thorough=10)
def test_branches_by_concurrent_writers_form_one_tree(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    at_once([partial(act, crowd[n], shared, f"{attempt} {n}") for n in range(WRITERS)])

    check(crowd[0], shared)


@race(usual=2, thorough=20)
def test_create_message_of_concurrent_versions_numbers_each(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    question = post_message(crowd[0], shared, f"question {attempt}")

    made = at_once(
        [
            partial(post_message, crowd[n], shared, str(n), parent_id=question["id"])
            for n in range(WRITERS)
        ]
    )

    assert sorted(each["sibling_index"] for each in made) == list(range(1, WRITERS + 1))
    assert len(path_of(crowd[0], shared)) == 2
    check(crowd[0], shared)


@race(usual=2, thorough=20)
def test_delete_message_while_others_are_posted_keeps_one_path(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    posted = [post_message(crowd[0], shared, f"{attempt} {n}") for n in range(WRITERS)]

    def delete(message: Json) -> None:
        assert crowd[1].delete(f"/messages/{message['id']}").status_code == 204

    def post(writer: int) -> None:
        post_message(crowd[writer], shared, f"new {writer}")

    at_once(
        [
            *(partial(delete, message) for message in posted[1::2]),
            *(partial(post, writer) for writer in range(WRITERS)),
        ]
    )

    assert len(path_of(crowd[0], shared)) == 2 * WRITERS - len(posted[1::2])
    check(crowd[0], shared)
