"""Claims runs and answers them, until a signal stops the worker."""

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from threading import Event, Lock

from agent_api.auth.signing import sign
from agent_api.http import scopes
from agent_api.settings import Settings
from agent_api.worker.answer import Answer, Json
from agent_api.worker.connection import Connection, RequestRefused, Stopped

WORKER_ID = "echo-worker"
TOKEN_SECONDS = 300
THREADS = 4
"""The number of runs that are answered at the same time."""
LEASE_SECONDS = 15
"""How long a run stays claimed after this process has died."""
WAIT_SECONDS = 2
"""How long a claim waits for a run, and so the longest time until an idle worker stops."""


class Worker:
    """Claims runs of agents and answers them. Several threads can work."""

    def __init__(
        self,
        connection: Connection,
        agent_ids: Sequence[str],
        *,
        stop: Event,
        say: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._agent_ids = list(agent_ids)
        self._stop = stop
        self._say = say
        self._claiming = Lock()

    def work(self) -> None:
        """Answer runs until the worker has to stop.

        Raises RequestRefused if the server refuses to give runs to this worker.
        """
        while not self._stop.is_set():
            try:
                claim = self._claim()
                if claim is not None:
                    self._answer(claim)
            except Stopped:
                return

    def _claim(self) -> Json | None:
        """Claim a run and return it with its lease, or None if no run is pending.

        One thread at a time waits for a run.
        """
        body = {
            "agent_ids": self._agent_ids,
            "lease_seconds": LEASE_SECONDS,
            "wait_seconds": WAIT_SECONDS,
        }
        with self._claiming:
            if self._stop.is_set():
                return None
            response = self._connection.request("POST", "/runs/claim", json=body)
        claim: Json | None = response.json() if response.status_code == 200 else None
        return claim

    def _answer(self, claim: Json) -> None:
        """Answer the run. If the server refuses a request about it, leave it to the server."""
        answer = Answer(self._connection, claim["run"], claim["lease"], self._stop)
        try:
            outcome = answer.give()
        except RequestRefused as error:
            outcome = f"given up: {error}"
        self._say(f"Run {claim['run']['id']} {outcome}")


def run(
    settings: Settings, agent_ids: Sequence[str], *, url: str, say: Callable[[str], None]
) -> None:
    """Answer runs until SIGTERM or SIGINT.

    Raises RequestRefused if the server refuses the token, and ConfigError if no token can be made.
    """
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    connection = Connection(url, token=partial(_token, settings), stop=stop, say=say)
    worker = Worker(connection, agent_ids, stop=stop, say=say)
    say(f"Echoing runs of {', '.join(agent_ids)} at {url}, for development only. Ctrl-C stops it.")
    with ThreadPoolExecutor(THREADS) as pool:
        threads = [pool.submit(worker.work) for _ in range(THREADS)]
        wait(threads, return_when=FIRST_EXCEPTION)
        stop.set()
    connection.close()
    for thread in threads:
        thread.result()


def _token(settings: Settings) -> str:
    """Return the given token, or a new one for each request, so that it does not expire."""
    if settings.token is not None:
        return settings.token
    return sign(settings, WORKER_ID, seconds=TOKEN_SECONDS, scopes=[scopes.WORK])
