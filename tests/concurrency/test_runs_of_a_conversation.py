"""Concurrent changes of one conversation and its runs: nobody waits for somebody who waits."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests.calls import Json, at_once, new_conversation, read_all
from tests.live.following import word
from tests.servers import Server
from tests.workers import SCOPE, new_agent

SECONDS = 6
CLIENTS = 12


class Hunt:
    """Clients of one user and workers that change the runs of a few conversations at random."""

    def __init__(self, server: Server, user: httpx.Client, stack: ExitStack, name: str) -> None:
        self.user_id = name
        self.agent = new_agent()
        self.server, self.stack, self.user = server, stack, user
        self.conversations = [new_conversation(user) for _ in range(2)]
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []
        self._lock = threading.Lock()

    def note(self, act: str, response: httpx.Response) -> httpx.Response:
        with self._lock:
            self.statuses[act, response.status_code] += 1
            if response.status_code >= 500:
                self.faults.append(f"{act}: {response.text}")
        return response

    def work(self, seed: int) -> None:
        """Claim runs and end them with a message, sometimes twice."""
        client = self.stack.enter_context(self.server.client(f"worker-{seed}", scope=SCOPE))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            body = {"agent_ids": [self.agent], "wait_seconds": 0}
            response = self.note("claim", client.post("/runs/claim", json=body))
            if response.status_code != 200:
                continue
            claimed = response.json()
            path, lease = f"/runs/{claimed['run']['id']}", {"Run-Lease": claimed["lease"]}
            self.note("heartbeat", client.post(f"{path}/heartbeat", headers=lease))
            events = {"events": [word("Working")]}
            self.note("append", client.post(f"{path}/events", json=events, headers=lease))
            message = {"role": "assistant", "content": "Done"}
            if (conversation_id := claimed["run"]["conversation_id"]) is not None:
                messages = f"/conversations/{conversation_id}/messages"
                self.note("answer", client.post(messages, json=message, headers=lease))
            end = {"status": "succeeded", "message": message}
            self.note("end", client.patch(path, json=end, headers=lease))

    def use(self, seed: int) -> None:
        """Create, cancel and end runs, post messages, and replace conversations."""
        client = self.stack.enter_context(self.server.client(self.user_id))
        chance = random.Random(seed)
        deadline = time.monotonic() + SECONDS
        mine: list[str] = []
        while time.monotonic() < deadline:
            conversation = chance.choice(self.conversations)
            match chance.choice(["create", "create", "cancel", "end", "message", "delete"]):
                case "create":
                    policy = chance.choice(["allow", "reject", "queue", "replace"])
                    new = {"agent_id": self.agent, "conversation_id": conversation["id"]}
                    body = new | {"if_busy": policy}
                    response = self.note("create", client.post("/runs", json=body))
                    if response.status_code == 201:
                        mine.append(response.json()["id"])
                case "cancel" if mine:
                    run = chance.choice(mine[-20:])
                    self.note("cancel", client.post(f"/runs/{run}/cancel"))
                case "end" if mine:
                    run = chance.choice(mine[-20:])
                    message = {"role": "assistant", "content": "Ended"}
                    body = {"status": "failed", "message": message}
                    self.note("end", client.patch(f"/runs/{run}", json=body))
                case "message":
                    body = {"role": "user", "content": "More"}
                    if mine:
                        body["run_id"] = mine[-1]
                    path = f"/conversations/{conversation['id']}/messages"
                    self.note("message", client.post(path, json=body))
                case "delete" if chance.random() < 0.2:
                    index = self.conversations.index(conversation)
                    path = f"/conversations/{conversation['id']}"
                    self.note("delete", client.delete(path))
                    self.conversations[index] = new_conversation(client)


@pytest.fixture
def hunt(server: Server, new_client: Callable[..., httpx.Client]) -> Iterator[Hunt]:
    name = f"hunter-{new_agent()}"
    with ExitStack() as stack:
        yield Hunt(server, new_client(name), stack, name)


@pytest.mark.slow
def test_concurrent_changes_of_runs_cause_no_deadlock(hunt: Hunt) -> None:
    acts = [partial(hunt.use, number) for number in range(CLIENTS)]
    acts += [partial(hunt.work, number) for number in range(4)]
    at_once(acts)

    assert hunt.faults == []
    assert {act for act, status in hunt.statuses if status in (200, 201, 204)} == {
        *("create", "cancel", "end", "message", "delete", "claim", "heartbeat"),
        *("append", "answer"),
    }


@pytest.mark.slow
def test_no_run_waits_forever_after_concurrent_changes(hunt: Hunt) -> None:
    at_once([partial(hunt.use, number) for number in range(CLIENTS)])
    claimed: list[Json] = []
    with hunt.server.client("last-worker", scope=SCOPE) as client:
        while (
            response := client.post("/runs/claim", json={"agent_ids": [hunt.agent]})
        ).status_code == 200:
            claimed.append(response.json())
            path, lease = f"/runs/{claimed[-1]['run']['id']}", claimed[-1]["lease"]
            ended = client.patch(path, json={"status": "failed"}, headers={"Run-Lease": lease})
            assert ended.status_code == 200, ended.text

    runs = read_all(hunt.user, "/runs")
    assert [run for run in runs if run["status"] == "pending"] == []
    assert len(claimed) == sum(run["attempts"] for run in runs)
