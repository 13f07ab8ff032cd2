"""Runs `agent-api worker --echo`, and asks it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests import log_watch
from tests.calls import Json, messages_of, new_conversation, new_run, post_message, read
from tests.servers import SECRET, clean_environment, command


@contextmanager
def echoing(url: str, folder: Path, agent: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker for an agent, and stop it after the block; its log must not contain content."""
    log = folder / f"{agent}.log"
    arguments = ("worker", "--echo", "--agent", agent, "--url", url)
    with log.open("w") as output:
        worker = subprocess.Popen(
            command(*arguments),
            env=clean_environment(**({"jwt_secret": SECRET} | settings)),
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait(60)
        log_watch.check(log.read_text())
    assert worker.returncode == 0, log.read_text()


def ask(client: httpx.Client, agent: str, question: str) -> tuple[Json, Json]:
    """Post a question and create a run that answers it; return the conversation and the run."""
    conversation = new_conversation(client)
    post_message(client, conversation, question)
    run = new_run(client, agent_id=agent, conversation_id=conversation["id"])
    return conversation, run


def answer_of(client: httpx.Client, conversation: Json, run: Json) -> str:
    """Return the content of the only answer."""
    question, answer = read(client, messages_of(conversation))["messages"]
    assert (question["role"], answer["role"]) == ("user", "assistant")
    assert answer["run_id"] == run["id"]
    content: str = answer["content"]
    return content
