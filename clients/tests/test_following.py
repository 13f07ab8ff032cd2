"""Clients that follow a run get every event once, whatever is killed, cut or restarted."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from clients.tests.cutting import cutting
from clients.tests.places import ROOT
from clients.tests.running import typescript
from clients.tests.test_guides import blocks
from tests.calls import Json, read
from tests.live.echoing import answer_of, ask, echoing
from tests.processes import wait_until
from tests.servers import Server, clean_environment, free_port, sign, start_server
from tests.workers import SCOPE, new_agent

EXAMPLES = ROOT / "examples"
QUESTION = " ".join(f"word{number}\u2028" for number in range(80))
"""It is answered for 8 s. JavaScript and Python see a line separator in each word."""
SECONDS = 90


class Event(NamedTuple):
    """An event as a client has written it."""

    sequence: int
    type: str
    data: Json


def assert_complete(events: list[Event]) -> None:
    """Check that these are all events of the answer, each once and in order."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "run.ended"
    assert "".join(event.data["text"] for event in events if "text" in event.data) == QUESTION


class Story:
    """A run that a worker answers, on a server that can be restarted."""

    def __init__(self, database_url: str, folder: Path, stack: ExitStack) -> None:
        self._database_url = database_url
        self._folder = folder
        self._port = str(free_port())
        self._server = ExitStack()
        stack.callback(self._server.close)
        self.user = f"user-{new_agent()}"
        self.server = self._start()
        self.client = stack.enter_context(self.server.client(self.user))
        agent = new_agent()
        self.conversation, self.run = ask(self.client, agent, QUESTION)
        stack.enter_context(echoing(self.server.url, folder, agent))

    def _start(self) -> Server:
        server = start_server(self._database_url, self._folder, port=self._port)
        return self._server.enter_context(server)

    def restart(self) -> None:
        """Stop the server and start it again."""
        self._server.close()
        self.server = self._start()

    def has_ended(self) -> bool:
        return bool(read(self.client, f"/runs/{self.run['id']}")["finished_at"])


@pytest.fixture
def story(database_url: str, tmp_path: Path) -> Iterator[Story]:
    with ExitStack() as stack:
        yield Story(database_url, tmp_path, stack)


@contextmanager
def process(
    command: list[str], folder: Path, **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends, and then kill it with its children."""
    with (folder / "errors").open("ab") as errors, (folder / "printed").open("ab") as output:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment() | variables,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@pytest.mark.parametrize("name", ["follow.sh", "follow.py", "follow.ts"])
def test_example_that_is_killed_and_restarted_has_every_event_once(
    name: str, story: Story, environment: dict[str, str], tmp_path: Path
) -> None:
    script = EXAMPLES / name
    starts: dict[str, Callable[[], list[str]]] = {
        ".sh": lambda: ["sh", str(script)],
        ".py": lambda: [sys.executable, str(script)],
        ".ts": lambda: typescript(tmp_path, script, environment),
    }
    assert shutil.which("curl"), "examples/follow.sh needs curl: install it"
    command = [*starts[script.suffix](), story.run["id"], "events"]
    variables = {"API": story.server.url, "TOKEN": sign(story.user)}

    for seconds in (1.2, 1.7):
        with process(command, tmp_path, **variables):
            time.sleep(seconds + random.random())
    with process(command, tmp_path, **variables) as follower:
        time.sleep(1)
        story.restart()
        assert follower.wait(SECONDS) == 0, (tmp_path / "errors").read_text()

    rows = [row.split(" ", 2) for row in (tmp_path / "events").read_text().split("\n")[:-1]]
    assert_complete([Event(int(row[0]), row[1], json.loads(row[2])) for row in rows])
    with process(command, tmp_path, **variables) as again:
        assert again.wait(SECONDS) == 0
    assert len((tmp_path / "events").read_text().split("\n")) == len(rows) + 1


@pytest.mark.parametrize("name", ["follow.sh", "follow.py", "follow.ts"])
def test_example_ends_if_the_server_refuses_it(
    name: str, server: Server, environment: dict[str, str], tmp_path: Path
) -> None:
    script = EXAMPLES / name
    command = [sys.executable if name == "follow.py" else "sh", str(script)]
    if name == "follow.ts":
        command = typescript(tmp_path, script, environment)
    missing = "019cadd3-0000-7000-8000-000000000000"

    with process([*command, missing, "events"], tmp_path, **environment) as follower:
        assert follower.wait(SECONDS) != 0

    assert "404" in (tmp_path / "errors").read_text()


PACKAGES = {
    "eventsource": ("eventsource", "eventsource-parser"),
    "@microsoft/fetch-event-source": ("@microsoft/fetch-event-source",),
}
# It is written for browsers.
WINDOW = "Object.assign(globalThis, { window: globalThis, document: new EventTarget() });\n"


@pytest.fixture
def program(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> list[str]:
    """The command that runs the guide's program with a package."""
    package = request.param
    found = [text for kind, text in blocks("guide/clients.md") if kind == "typescript"]
    (text,) = [text for text in found if f"from '{package}'" in text]
    source = tmp_path / "guide.ts"
    source.write_text(WINDOW + text if "fetch-event" in package else text)
    return typescript(tmp_path, source, environment, *PACKAGES[package])


@pytest.mark.parametrize("program", PACKAGES, indirect=True)
def test_package_gets_every_event_once_over_connections_that_are_cut(
    program: list[str], story: Story, tmp_path: Path
) -> None:
    with cutting(story.server.url, at_most=3000) as url:
        variables = {"API": url, "TOKEN": sign(story.user), "RUN": story.run["id"]}
        with process(program, tmp_path, **variables) as follower:
            time.sleep(3)
            story.restart()
            assert follower.wait(SECONDS) == 0, (tmp_path / "errors").read_text()

    rows = (tmp_path / "printed").read_text().split("\n")[:-1]
    assert_complete([Event(**json.loads(row)) for row in rows])
    opened = [
        json.loads(line)["status"]
        for line in story.server.log.read_text().splitlines()
        if '"operation":"stream_run_events"' in line
    ]
    assert opened.count(204) >= 1
    assert len(opened) >= 4


@pytest.mark.parametrize("program", PACKAGES, indirect=True)
def test_package_ends_if_the_server_refuses_it(
    program: list[str], server: Server, tmp_path: Path
) -> None:
    missing = "019cadd3-0000-7000-8000-000000000000"
    variables = {"API": server.url, "TOKEN": sign("nobody"), "RUN": missing}

    with process(program, tmp_path, **variables) as follower:
        assert follower.wait(SECONDS) != 0

    assert "404" in (tmp_path / "errors").read_text()


def test_example_worker_answers_and_stops_when_it_is_cancelled(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    (first, answered), (second, cancelled) = [ask(alice, agent, QUESTION[:100]) for _ in range(2)]
    variables = {"API": server.url, "TOKEN": sign("worker", scope=SCOPE), "AGENT": agent}

    def status_of(run: Json) -> str:
        return str(read(alice, f"/runs/{run['id']}")["status"])

    with process([sys.executable, str(EXAMPLES / "worker.py")], tmp_path, **variables):
        wait_until(lambda: status_of(answered) == "succeeded")
        wait_until(lambda: read(alice, f"/runs/{cancelled['id']}/events")["last_sequence"] > 2)
        assert alice.post(f"/runs/{cancelled['id']}/cancel").status_code == 200
        wait_until(lambda: status_of(cancelled) == "cancelled")

    assert answer_of(alice, first, answered).split() == QUESTION[:100].split()
    said = answer_of(alice, second, cancelled)
    assert QUESTION.startswith(said.rstrip(" "))
