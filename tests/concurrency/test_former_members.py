"""A member organises a conversation while the owner stops sharing it."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.calls import Json, at_once, new_conversation
from tests.concurrency.races import race
from tests.mirror import changes_after, position
from tests.sharing.members import NewClient, share, unshare, user_of


def pin_in_bulk(client: httpx.Client, conversation: Json, action: str) -> None:
    body = {"action": action, "ids": [conversation["id"]]}
    assert client.post("/conversations/bulk", json=body).status_code == 200


@pytest.mark.parametrize("by", ["unshare", "delete"])
@race(usual=5, thorough=50)
def test_a_former_members_log_ends_with_the_deletion(
    alice: httpx.Client, new_client: NewClient, by: str, attempt: int
) -> None:
    """A member learns last that the conversation is gone, not that it was updated."""
    member = new_client()
    devices = [new_client(user_of(member)) for _ in range(4)]
    conversation = new_conversation(alice)
    share(alice, conversation["id"], member)
    before = position(member)

    def stop() -> None:
        if by == "unshare":
            assert unshare(alice, conversation["id"], member).status_code == 204
        else:
            alice.delete(f"/conversations/{conversation['id']}")

    pin = partial(pin_in_bulk, conversation=conversation)
    acts: list[Callable[[], None]] = [
        partial(pin, device, action=action) for device in devices for action in ("pin", "unpin")
    ]
    at_once([*acts, stop])

    types = [each["type"] for each in changes_after(member, before)]
    assert types[-1] == "conversation.deleted", types
