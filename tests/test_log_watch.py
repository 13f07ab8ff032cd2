"""The search of the logs finds tokens and content, and then fails the run."""

import json
import logging
import uuid
from pathlib import Path

import httpx
import pytest

from agent_api.observability.log import TextFormatter, json_formatter
from tests import log_watch
from tests.contract import make_rows
from tests.identity import KeyPair
from tests.servers import sign, start_server

FOUND = "a log holds a token or what a request said"


@pytest.mark.process
def test_server_that_logs_content_fails_its_test(database_url: str, tmp_path: Path) -> None:
    """Request ids are logged unchanged; here the id equals the content of the message."""
    content = f"nobody-may-read-this-{uuid.uuid4()}"

    def leak() -> None:
        with start_server(database_url, tmp_path) as server, server.client("writer") as writer:
            path = f"/conversations/{make_rows(writer)['conversation_id']}/messages"
            body = {"role": "user", "content": content}
            made = writer.post(path, json=body, headers={"X-Request-Id": content})
            assert made.status_code == 201

    with pytest.raises(AssertionError, match=FOUND) as failed:
        leak()

    assert content in str(failed.value)


def test_token_logged_in_this_process_fails_the_run() -> None:
    with pytest.raises(AssertionError, match=FOUND), log_watch.watching_this_process():
        logging.getLogger("agent_api.auth").warning("refused", extra={"token": sign("somebody")})


@pytest.mark.parametrize("formatter", [TextFormatter(), json_formatter()], ids=["text", "json"])
@pytest.mark.parametrize("part", [0, 1, 2], ids=["whole", "without its header", "its signature"])
def test_tokens_are_found_in_every_log_format(formatter: logging.Formatter, part: int) -> None:
    for token in (sign("somebody"), KeyPair("EdDSA").sign("somebody")):
        said = ".".join(token.split(".")[part:])
        try:
            raise ValueError(f"it cannot be read: {said}")
        except ValueError as error:
            record = logging.makeLogRecord(
                {"msg": "failed", "exc_info": (type(error), error, None)}
            )

        assert log_watch.leaks(formatter.format(record))


def test_unknown_tokens_are_found() -> None:
    assert log_watch.leaks("refused eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl")


@pytest.mark.parametrize(
    "body",
    [
        {"title": "The lease of Harbour Street, version {}"},
        {"metadata": {"deep": [{"er": "in the cellar of the house {}"}]}},
        {"metadata": {"a property name may be secret {}": True}},
        {"content": 'He said "no".\nThen he signed the whole contract {}'},
        {"tool_calls": [{"arguments": {"query": "rents in the old harbour {}"}}]},
    ],
    ids=["text", "a value", "a name", "escapes", "a tool call"],
)
def test_content_of_a_request_body_is_found(body: dict[str, object]) -> None:
    secret = json.loads(json.dumps(body).replace("{}", uuid.uuid4().hex))

    log_watch.request(httpx.Request("POST", "http://api/", json=secret))

    assert log_watch.leaks(json.dumps({"message": "failed", "body": json.dumps(secret)}))


def test_ordinary_line_of_a_request_is_not_a_leak() -> None:
    nowhere = "019cadd3-0000-7000-8000-000000000000"
    log_watch.request(httpx.Request("POST", "http://api/", json={"metadata": {"of": nowhere}}))

    assert not log_watch.leaks(
        '{"level":"INFO","logger":"agent_api.access","message":"request","method":"POST",'
        f'"operation":"create_message","status":201,"request_id":"{nowhere}"}}'
    )
