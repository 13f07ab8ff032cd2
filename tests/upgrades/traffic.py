"""Clients that read and write until they are stopped, and record every response."""

import threading
import uuid
from typing import Self

import httpx

from tests.processes import wait_until
from tests.servers import sign

CLIENTS = 4


class Traffic:
    """Clients of one user, which run inside a `with` block.

    `faults` lists every response other than 200, 201 and 204, and every request without a response.
    """

    def __init__(self, url: str, clients: int = CLIENTS) -> None:
        self.answered = 0
        self.faults: list[str] = []
        self._url = url
        self._user = f"traffic-{uuid.uuid4()}"
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all clients, each after its current request."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> None:
        """Wait until a hundred more requests have been answered."""
        goal = self.answered + 100
        wait_until(lambda: self.answered >= goal, 60)

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {sign(self._user)}"}
        with httpx.Client(base_url=self._url, headers=headers, timeout=30, verify=False) as client:
            while not self._stopped.is_set():
                self._tell_a_story(client)

    def _tell_a_story(self, client: httpx.Client) -> None:
        made = self._call(client, "POST", "/conversations", {"title": "A title"})
        if made is None or made.status_code != 201:
            return
        path = f"/conversations/{made.json()['id']}"
        message = {"role": "user", "content": "Hello"}
        self._call(client, "POST", f"{path}/messages", message)
        self._call(client, "PATCH", path, {"title": "Another"})
        self._call(client, "GET", path)
        self._call(client, "GET", "/conversations?limit=5")
        run = self._call(client, "POST", "/runs", {"agent_id": "agent"})
        if run is not None and run.status_code == 201:
            self._call(client, "PATCH", f"/runs/{run.json()['id']}", {"status": "running"})
        self._call(client, "DELETE", path)

    def _call(
        self, client: httpx.Client, method: str, path: str, body: object = None
    ) -> httpx.Response | None:
        try:
            response = client.request(method, path, json=body)
        except httpx.TransportError as error:
            self.faults.append(f"{method} {path}: {error!r}")
            return None
        if response.status_code not in (200, 201, 204):
            self.faults.append(f"{method} {path}: {response.status_code} {response.text}")
        with self._lock:
            self.answered += 1
        return response
