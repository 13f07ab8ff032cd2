"""The worker processes of one server: starts them, replaces those that die or hang, stops them."""

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

from agent_api.server.process import Server, skip_garbage_collection
from agent_api.server.signals import StopSignals

logger = logging.getLogger(__name__)

CHECK_SECONDS = 0.1
START_SECONDS = 60
"""Until the first heartbeat: loading the modules takes long on a busy machine."""
HANG_SECONDS = 10
"""Without a heartbeat of the event loop for this long, a worker is replaced."""
MAX_FAILED_STARTS = 5
"""If no worker serves after so many attempts in a row, the server exits with 1."""
MAX_DELAY_SECONDS = 30
EXIT_SECONDS = 8
"""After the grace time a worker has this long to exit, then it is killed.

It needs one second for its last responses and three to export its spans.
"""


class Worker(Process):
    """A process that runs our server and reports heartbeats."""

    def __init__(self, config: uvicorn.Config, listener: socket, client_timeout: int) -> None:
        self._client_timeout = client_timeout
        # In shared memory. uvicorn's own health check is answered by a thread, even if the event
        # loop hangs.
        self._heartbeats = RawValue(c_uint64, 0)
        self._heartbeats_seen = self._silent_checks = 0
        super().__init__(config, [listener])

    @property
    def server(self) -> uvicorn.Server:
        """Return the server; called in the worker process only."""
        if self._server is None:
            self._server = server = Server(
                self.config, client_timeout=self._client_timeout, has_parent=True
            )
            server.heartbeat = self._count_heartbeat
        return self._server

    def _count_heartbeat(self) -> None:
        self._heartbeats.value += 1

    def is_healthy(self) -> bool:
        """Tell whether the process is alive and its event loop runs; call every CHECK_SECONDS.

        It counts calls instead of seconds: while Ctrl-Z suspends all processes, there are neither
        heartbeats nor checks.
        """
        heartbeats = self._heartbeats.value
        self._silent_checks = self._silent_checks + 1 if heartbeats == self._heartbeats_seen else 0
        self._heartbeats_seen = heartbeats
        timeout = HANG_SECONDS if heartbeats else START_SECONDS
        return self.process.is_alive() and self._silent_checks * CHECK_SECONDS < timeout

    @property
    def has_served(self) -> bool:
        """Tell whether the worker became ready: its application started, and it listened."""
        return bool(self._heartbeats_seen)

    @property
    def exit_reason(self) -> str:
        """Describe how the process ended: with an exit code, or by a signal."""
        code = self.exitcode or 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def stop_at_once(self) -> None:
        """Send SIGQUIT; the process id cannot belong to another process before `join`."""
        if self.process.pid is not None:
            os.kill(self.process.pid, signal.SIGQUIT)


class Workers:
    """The parent of the worker processes.

    uvicorn's own supervisor keeps the listening socket open while its workers stop, so that
    clients connect but get no response, and ignores a second signal.
    """

    def __init__(self, config: uvicorn.Config, listener: socket, client_timeout: int) -> None:
        self._config = config
        self._listener = listener
        self._client_timeout = client_timeout
        self._stop = StopSignals()
        self._workers: list[Worker] = []
        self._failed_starts = 0  # in a row
        self._next_start = 0.0

    def run(self) -> None:
        """Serve until a stop signal; raises SystemExit with 1 if no worker becomes ready."""
        with self._stop.handled():
            code = self._supervise()
            self._listener.close()  # first, so that the port is closed with the last worker's copy
            for worker in self._workers:
                worker.terminate()
            self._wait_for_all()
        skip_garbage_collection()
        if code:
            raise SystemExit(code)

    def _supervise(self) -> int:
        """Start and replace workers until a stop signal; return the exit code."""
        while not self._stop.requested:
            if time.monotonic() >= self._next_start:
                self._start_missing()
            time.sleep(CHECK_SECONDS)
            self._remove_unhealthy()
            if self._failed_starts >= MAX_FAILED_STARTS and not self._has_served():
                logger.error("no worker can start: see the errors before this line")
                return 1
        return 0

    def _start_missing(self) -> None:
        is_complete = len(self._workers) == self._config.workers
        if is_complete and all(worker.has_served for worker in self._workers):
            self._failed_starts = 0
        while len(self._workers) < self._config.workers:
            try:
                worker = Worker(self._config, self._listener, self._client_timeout)
                worker.start()
            except OSError as error:  # for example, too many processes
                logger.error("cannot start a worker", extra={"reason": str(error)})
                self._count_failed_start()
                return
            self._workers.append(worker)

    def _remove_unhealthy(self) -> None:
        if self._stop.requested:  # a starting worker ends by its own copy of the signal
            return
        for worker in [each for each in self._workers if not each.is_healthy()]:
            self._remove(worker)

    def _remove(self, worker: Worker) -> None:
        has_hung = worker.process.is_alive()
        worker.kill()
        worker.join()
        self._workers.remove(worker)
        reason = "did not respond" if has_hung else worker.exit_reason
        logger.error("a worker died", extra={"worker": worker.pid, "reason": reason})
        if worker.exitcode == STARTUP_FAILURE:  # another one would fail too
            self._failed_starts = MAX_FAILED_STARTS
        if not worker.has_served:
            self._count_failed_start()

    def _count_failed_start(self) -> None:
        """Wait before the next start, each time twice as long: 0.5, 1, 2, ... seconds."""
        now = time.monotonic()
        if now >= self._next_start:  # workers that fail together count once
            self._next_start = now + min(2**self._failed_starts / 2, MAX_DELAY_SECONDS)
            self._failed_starts += 1

    def _has_served(self) -> bool:
        return any(worker.has_served for worker in self._workers)

    def _wait_for_all(self) -> None:
        grace = self._config.timeout_graceful_shutdown or 0
        deadline = time.monotonic() + grace + EXIT_SECONDS
        is_forced = False
        while alive := [each for each in self._workers if each.process.is_alive()]:
            if self._stop.at_once and not is_forced:
                is_forced = True
                deadline = time.monotonic() + EXIT_SECONDS
                for worker in alive:
                    worker.stop_at_once()
            if time.monotonic() > deadline:
                for worker in alive:
                    worker.process.kill()
            time.sleep(CHECK_SECONDS)
