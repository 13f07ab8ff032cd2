"""`agent-api worker --echo` answers runs word by word, and survives what happens to its server."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.authority import identity_of
from tests.calls import messages_of, new_conversation, new_run, post_message, read
from tests.commands import refusal
from tests.identity import KeyServer
from tests.live.echoing import answer_of, ask, echoing
from tests.live.following import Frame, following, texts
from tests.processes import wait_until
from tests.servers import Server, agent_api, free_port, sign, start_server
from tests.workers import SCOPE, new_agent

pytestmark = pytest.mark.process

QUESTION = "Which region grew fastest?\n\nTell me in one  word. 日本"
LONG_QUESTION = " ".join(f"word{number}" for number in range(400))
"""It is echoed for at least 32 s."""
STOP_SECONDS = 25
"""Less than the echo takes; on a busy machine an interpreter takes many seconds to exit."""


def read_words(frames: Iterator[Frame], number: int) -> list[Frame]:
    """Read on until `number` words have arrived."""
    read: list[Frame] = []
    while len(texts(read)) < number:
        read.append(next(frames))
    return read


def test_worker_answers_word_by_word(server: Server, alice: httpx.Client, tmp_path: Path) -> None:
    agent = new_agent()
    conversation, run = ask(alice, agent, QUESTION)

    with echoing(server.url, tmp_path, agent), following(alice, run) as frames:
        events = list(frames)

    types = [event.event for event in events]
    assert types == ["run.started", *["text.delta"] * len(texts(events)), "run.ended"]
    assert events[-1].data["status"] == "succeeded"
    assert texts(events)[:2] == ["Which ", "region "]
    assert "".join(texts(events)) == answer_of(alice, conversation, run) == QUESTION
    page = read(alice, f"/runs/{run['id']}/events")
    assert all(event["transient"] == ("text" in event["data"]) for event in page["events"])


def test_worker_answers_the_message_of_the_input_again(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    conversation = new_conversation(alice)
    question = post_message(alice, conversation, "First question")
    answer = post_message(alice, conversation, "First answer", role="assistant")
    post_message(alice, conversation, "Second question")
    given = {"message_id": question["id"], "sibling_of": answer["id"]}
    run = new_run(alice, agent_id=agent, conversation_id=conversation["id"], input=given)

    with echoing(server.url, tmp_path, agent), following(alice, run) as frames:
        assert list(frames)[-1].data["status"] == "succeeded"

    asked, answered = read(alice, messages_of(conversation))["messages"]
    assert asked["id"] == question["id"]
    assert answered["content"] == "First question"
    assert (answered["sibling_index"], answered["sibling_count"]) == (2, 2)


def test_worker_answers_several_runs_at_once(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    made = [ask(alice, agent, LONG_QUESTION) for _ in range(3)]

    with echoing(server.url, tmp_path, agent):
        for _, run in made:
            with following(alice, run) as frames:
                read_words(frames, 2)
        status = [read(alice, f"/runs/{run['id']}")["status"] for _, run in made]

    assert status == ["running"] * 3


def test_worker_stops_a_cancelled_answer_and_keeps_what_it_said(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    conversation, run = ask(alice, agent, LONG_QUESTION)

    with echoing(server.url, tmp_path, agent), following(alice, run) as frames:
        events = read_words(frames, 3)
        cancelled_at = time.monotonic()
        assert alice.post(f"/runs/{run['id']}/cancel").status_code == 200
        events += frames

    assert time.monotonic() - cancelled_at < 10
    assert events[-1].data["status"] == "cancelled"
    said = "".join(texts(events))
    assert said == answer_of(alice, conversation, run)
    assert LONG_QUESTION.startswith(said)
    assert 3 <= len(texts(events)) < 200


def test_worker_goes_on_after_a_restart_of_the_server(database_url: str, tmp_path: Path) -> None:
    agent, port = new_agent(), str(free_port())
    question = " ".join(f"word{number}" for number in range(60))

    with ExitStack() as stack:
        with start_server(database_url, tmp_path, port=port) as server:
            client = stack.enter_context(server.client(agent))
            conversation, run = ask(client, agent, question)
            stack.enter_context(echoing(server.url, tmp_path, agent))
            with following(client, run) as frames:
                events = read_words(frames, 5)
        with start_server(database_url, tmp_path, port=port):
            with following(client, run, last_event_id=events[-1].id) as frames:
                events += frames
            stored = read(client, f"/runs/{run['id']}")
            answer = answer_of(client, conversation, run)
            stack.close()

    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert (stored["status"], stored["attempts"]) == ("succeeded", 1)
    assert "".join(texts(events)) == answer == question


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_stores_the_whole_answer_when_a_signal_stops_it(
    server: Server, alice: httpx.Client, tmp_path: Path, number: signal.Signals
) -> None:
    agent = new_agent()
    conversation, run = ask(alice, agent, LONG_QUESTION)

    with echoing(server.url, tmp_path, agent) as worker, following(alice, run) as frames:
        read_words(frames, 2)
        worker.send_signal(number)
        assert worker.wait(STOP_SECONDS) == 0
        *_, last = frames

    assert last.data["status"] == "succeeded"
    assert answer_of(alice, conversation, run) == LONG_QUESTION


def test_worker_stops_while_no_server_listens(tmp_path: Path) -> None:
    with echoing(f"http://127.0.0.1:{free_port()}", tmp_path, "agent") as worker:
        log = tmp_path / "agent.log"
        refused = r"The request failed, trying again: ConnectError: .*Connection refused"
        wait_until(lambda: re.search(refused, log.read_text()) is not None)
        assert worker.poll() is None
        worker.terminate()
        assert worker.wait(STOP_SECONDS) == 0


def test_worker_says_that_it_does_not_trust_the_certificate(tmp_path: Path) -> None:
    with (
        KeyServer(tls=identity_of("127.0.0.1", tmp_path).server) as server,
        echoing(server.url.removesuffix("/keys"), tmp_path, "agent"),
    ):
        log = tmp_path / "agent.log"
        wait_until(lambda: "certificate verify failed" in log.read_text())


def test_worker_fails_a_run_without_a_question(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    empty = new_conversation(alice)
    runs = [
        new_run(alice, agent_id=agent),
        new_run(alice, agent_id=agent, conversation_id=empty["id"]),
    ]

    with echoing(server.url, tmp_path, agent):
        for run in runs:
            with following(alice, run) as frames:
                *_, last = frames
            assert last.data["status"] == "failed"
            assert last.data["error"] == "The conversation has no user message to echo."


def test_worker_gives_up_a_run_that_its_user_ends(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    _, run = ask(alice, agent, LONG_QUESTION)
    with echoing(server.url, tmp_path, agent):
        with following(alice, run) as frames:
            read_words(frames, 1)
            alice.patch(f"/runs/{run['id']}", json={"status": "failed"})
            *_, last = frames
        assert last.data["status"] == "failed"
        conversation, second = ask(alice, agent, QUESTION)
        with following(alice, second) as frames:
            *_, last = frames
        assert last.data["status"] == "succeeded"
        assert answer_of(alice, conversation, second) == QUESTION


def test_worker_uses_the_token_of_the_environment(
    server: Server, alice: httpx.Client, tmp_path: Path
) -> None:
    agent = new_agent()
    conversation, run = ask(alice, agent, "Hello")
    settings = {"token": sign("my-worker", scope=SCOPE), "jwt_secret": "x" * 32}

    with echoing(server.url, tmp_path, agent, **settings), following(alice, run) as frames:
        *_, last = frames

    assert last.data["status"] == "succeeded"
    assert answer_of(alice, conversation, run) == "Hello"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (sign("worker"), "403 Forbidden"),
        ("not.a.token", "401 Unauthorized: The token is not valid."),
    ],
    ids=["no-scope", "invalid"],
)
def test_worker_ends_if_its_token_is_refused(server: Server, token: str, reason: str) -> None:
    done = agent_api("worker", "--echo", "--url", server.url, "--token", token)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"agent-api: The server refuses this worker: {reason}"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--echo", "--url", "localhost:8000"],
        ["--echo", "--agent", ""],
        ["--echo", "--token", "a\nb"],
    ],
    ids=["without-echo", "url", "agent", "token"],
)
def test_worker_refuses_invalid_options_in_one_line(arguments: list[str]) -> None:
    refusal(agent_api("worker", *arguments))
