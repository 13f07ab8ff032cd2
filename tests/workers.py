"""Workers that claim runs, and the runs that they claim."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.calls import Json, new_run
from tests.servers import Server

SCOPE = "runs:work"
LEASE_SECONDS = 5
"""The shortest lease, for tests that wait until it expires."""
EXPIRED_SECONDS = 25
"""After so many seconds without a heartbeat, a sweep has found that the lease has expired."""


@dataclass(frozen=True)
class Claim:
    """A claimed run, and the headers of requests about it."""

    run: Json
    lease: str
    lease_expires_at: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Run-Lease": self.lease}

    @property
    def path(self) -> str:
        return f"/runs/{self.run['id']}"


class Worker:
    """A worker with a token of its own."""

    def __init__(self, server: Server) -> None:
        self.name = f"worker-{uuid.uuid4()}"
        self.client = server.client(self.name, scope=SCOPE)

    def ask(self, *agent_ids: str, **body: Any) -> httpx.Response:
        """Send a claim for runs of the agents."""
        return self.client.post("/runs/claim", json={"agent_ids": list(agent_ids), **body})

    def claim(self, *agent_ids: str, **body: Any) -> Claim:
        """Claim a run, which must exist."""
        response = self.ask(*agent_ids, **body)
        assert response.status_code == 200, response.text
        return Claim(**response.json())

    def heartbeat(self, claim: Claim) -> httpx.Response:
        return self.client.post(f"{claim.path}/heartbeat", headers=claim.headers)

    def update(self, claim: Claim, **body: Any) -> httpx.Response:
        return self.client.patch(claim.path, json=body, headers=claim.headers)


def new_agent() -> str:
    """Return an agent whose runs no other test claims."""
    return f"agent-{uuid.uuid4()}"


def claimed_run(client: httpx.Client, worker: Worker, **body: Any) -> Claim:
    """Create a run of the client's user, and claim it."""
    agent, seconds = new_agent(), body.pop("lease_seconds", 60)
    run = new_run(client, agent_id=agent, **body)
    claim = worker.claim(agent, lease_seconds=seconds)
    assert claim.run["id"] == run["id"]
    return claim


NewWorker = Callable[[], Worker]
