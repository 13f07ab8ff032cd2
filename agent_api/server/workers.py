"""Several processes that serve one address: started, replaced when one dies, and stopped."""

import logging
import os
import signal
import time
from ctypes import c_uint64
from multiprocessing.sharedctypes import RawValue
from socket import socket

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from agent_api.server.process import Server
from agent_api.server.signals import StopSignals

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
START_SECONDS = 60
"""For a worker's first beat: it loads its modules for as long as a busy machine takes."""
HANG_SECONDS = 10
"""Without a beat of its event loop, after which a worker is taken for hung, and replaced."""
MORE_SECONDS = 8
"""Beyond the grace time, after which a worker is killed that does not even stop.

One for its last answers and three for its spans are its own; the rest is for a busy machine.
"""


class Worker(Process):
    """A process of its own, with our server in it."""

    def __init__(self, config: uvicorn.Config, listener: socket, client_seconds: int) -> None:
        self._client_seconds = client_seconds
        # In memory that both processes see; uvicorn's own sign of life comes from a thread.
        self._beats = RawValue(c_uint64, 0)
        self._beats_seen = self._silent_looks = 0
        super().__init__(config, [listener])

    @property
    def server(self) -> uvicorn.Server:
        """Return the server; made in the process that it serves in."""
        if self._server is None:
            self._server = server = Server(
                self.config, client_seconds=self._client_seconds, has_parent=True
            )
            server.beat = self._beat
        return self._server

    def _beat(self) -> None:
        self._beats.value += 1

    def is_well(self) -> bool:
        """Tell whether it lives, and its event loop goes round; called every LOOK_SECONDS.

        Looks are counted rather than seconds: while all the processes are suspended, as by Ctrl-Z,
        the parent does not look either.
        """
        beats = self._beats.value
        self._silent_looks = self._silent_looks + 1 if beats == self._beats_seen else 0
        self._beats_seen = beats
        patience = HANG_SECONDS if beats else START_SECONDS
        return self.process.is_alive() and self._silent_looks * LOOK_SECONDS < patience

    def hurry(self) -> None:
        """Tell it to stop at once; it has not been waited for, so that its id is its own."""
        if self.process.pid is not None:
            os.kill(self.process.pid, signal.SIGQUIT)


class Workers:
    """The parent of the processes.

    uvicorn's own keeps the listening socket open while its workers stop, so that clients connect
    to nobody, and does not listen to a second signal.
    """

    def __init__(self, config: uvicorn.Config, listener: socket, client_seconds: int) -> None:
        self._config = config
        self._listener = listener
        self._client_seconds = client_seconds
        self._stop = StopSignals()
        self._workers: list[Worker] = []

    def run(self) -> None:
        """Serve until asked to stop; raises SystemExit where a worker cannot start."""
        with self._stop.handled():
            self._workers = [self._start() for _ in range(self._config.workers)]
            code = self._keep_alive()
            self._listener.close()  # before the workers close theirs: the last one is theirs
            for worker in self._workers:
                worker.terminate()
            self._wait_for_all()
        if code:
            raise SystemExit(code)

    def _start(self) -> Worker:
        worker = Worker(self._config, self._listener, self._client_seconds)
        worker.start()
        return worker

    def _keep_alive(self) -> int:
        """Return 0 when asked to stop, and otherwise the code to exit with."""
        while not self._stop.asked:
            time.sleep(LOOK_SECONDS)
            for index, worker in enumerate(self._workers):
                if worker.is_well():
                    continue
                worker.kill()  # it may be alive and hang
                worker.join()
                if worker.exitcode == STARTUP_FAILURE:  # as it would be every time
                    logger.error("a worker cannot start")
                    return STARTUP_FAILURE
                logger.error("a worker died", extra={"worker": worker.pid})
                self._workers[index] = self._start()
        return 0

    def _wait_for_all(self) -> None:
        grace = self._config.timeout_graceful_shutdown or 0
        deadline = time.monotonic() + grace + MORE_SECONDS
        hurried = False
        while alive := [each for each in self._workers if each.process.is_alive()]:
            if self._stop.at_once and not hurried:
                hurried = True
                deadline = time.monotonic() + MORE_SECONDS
                for worker in alive:
                    worker.hurry()
            if time.monotonic() > deadline:
                for worker in alive:
                    worker.process.kill()
            time.sleep(LOOK_SECONDS)
