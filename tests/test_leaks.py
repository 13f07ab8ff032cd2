"""Errors reveal nothing of the implementation to clients, and logs contain no user content."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest
from sqlalchemy import make_url

from tests.contract import OPERATIONS, Rows, assert_problem, make_rows
from tests.servers import SECRET, Server, sign, start_server
from tests.test_request_log import line_of
from tests.wire import ask

CONTENT = "Only its user may see this line of a message."


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="module")
def own_url(new_migrated_database: Callable[[], str]) -> str:
    """A database that the tests may break."""
    return new_migrated_database()


# The column depends on the type of the content.
ADD_SIZE = "ADD size integer GENERATED ALWAYS AS (0) STORED"


@pytest.fixture(scope="module")
def own_server(own_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("data")
    # A prepared statement would fail because the type of its column has changed.
    with start_server(
        own_url, folder, statement_timeout_ms="5000", prepared_statements="off"
    ) as server:
        yield server


@pytest.mark.process
@pytest.mark.parametrize(
    ("statement", "undo", "code", "names"),
    [
        (
            "ADD CONSTRAINT ck_short CHECK (char_length(content) < 10) NOT VALID",
            "DROP CONSTRAINT ck_short",
            "23514",
            ("messages", "ck_short"),
        ),
        (
            "DROP size, ALTER content TYPE varchar(60)",
            f"ALTER content TYPE text, {ADD_SIZE}",
            "22001",
            (),
        ),
        (
            "DROP size, ALTER content TYPE integer USING 0",
            f"ALTER content TYPE text, {ADD_SIZE}",
            "22P02",
            (),
        ),
    ],
    ids=["check constraint", "too long", "wrong type"],
)
def test_rows_rejected_by_the_database_are_logged_without_content(
    own_url: str,
    own_server: Server,
    statement: str,
    undo: str,
    code: str,
    names: tuple[str, ...],
) -> None:
    before, request_id = len(own_server.log.read_text()), str(uuid.uuid4())
    with own_server.client(f"writer-{uuid.uuid4()}") as writer:
        rows = make_rows(writer)
        execute(own_url, "TRUNCATE messages CASCADE", f"ALTER TABLE messages {statement}")
        path = f"/conversations/{rows['conversation_id']}/messages"

        body = {"role": "user", "content": f"{CONTENT} {'x' * 60}"}
        response = writer.post(path, json=body, headers={"X-Request-Id": request_id})
        execute(own_url, f"ALTER TABLE messages {undo}")
    assert_problem(response, 500)

    line_of(own_server, request_id, "request")  # the last line
    log = own_server.log.read_text()[before:]
    for word in (code, "db/messages/messages.py", *names):
        assert word in log
    for secret in ("Only its user", "DETAIL", "LINE 1", "INSERT INTO"):
        assert secret not in log


IMPLEMENTATION = re.compile(
    r"""
    \b(SELECT|INSERT|UPDATE|DELETE)\s.+\s(FROM|INTO|SET)\s | \bSQL\b | SQLSTATE  # statements
    | Traceback | \bFile\s" | \bline\s\d+,\sin\b | \w+(Error|Exception)\b       # stacks
    | /(home|root|tmp|usr|var|srv|opt|work)/ | \.py\b | site-packages           # paths
    | psycopg | sqlalchemy | relation\s\\?" | column\s\\?" | violates | FATAL | DETAIL  # the driver
    """,
    re.VERBOSE,
)


def assert_reveals_nothing(response: httpx.Response, *secrets: str) -> None:
    """Assert that neither headers nor body reveal the implementation or one of `secrets`."""
    headers = [f"{name}: {value}" for name, value in response.headers.items()]
    text = "\n".join([*headers, response.text])
    found = IMPLEMENTATION.search(text)
    assert found is None, f"{found}: {text}"
    for secret in secrets:
        assert secret not in text


def responses_to_bad_requests(client: httpx.Client, rows: Rows) -> Iterator[httpx.Response]:
    """Yield the responses of each operation to requests that break the contract."""
    odd = "' OR 1=1; SELECT version(); --"
    for operation in OPERATIONS:
        url = operation.url(rows)
        yield client.request("TRACE", url)
        yield httpx.request(operation.method, client.base_url.join(url), verify=False)
        forged = {"Authorization": f"Bearer {sign('x', secret=SECRET[::-1])}"}
        yield client.request(operation.method, url, headers=forged)
        for parameter in operation.parameters:
            if parameter["in"] == "query":
                yield client.request(operation.method, url, params={parameter["name"]: odd})
        if operation.names:
            nowhere = dict.fromkeys(rows, str(uuid.uuid4()))
            yield operation.send(client, nowhere)
            yield operation.send(client, dict.fromkeys(rows, "%27%3BSELECT"))
        if operation.has_body:
            json_type = {"Content-Type": "application/json"}
            yield client.request(operation.method, url, content=b"{" + b"[" * 200)
            yield client.request(operation.method, url, content=b"[" * 20_000, headers=json_type)
            yield client.request(operation.method, url, content=b"\xff\x00", headers=json_type)
            yield client.request(operation.method, url, json={"run_id": odd, "status": odd})
            yield client.request(operation.method, url, content=b"[" * (2 << 20), headers=json_type)


def test_client_errors_reveal_nothing(server: Server) -> None:
    statuses = set()
    with server.client(f"prober-{uuid.uuid4()}") as client:
        token = client.headers["Authorization"].removeprefix("Bearer ")
        for response in responses_to_bad_requests(client, make_rows(client)):
            if response.status_code >= 400:
                statuses.add(response.status_code)
                assert response.headers["content-type"] == "application/problem+json"
                assert_reveals_nothing(response, token, SECRET)
    assert statuses == {400, 401, 403, 404, 405, 413, 415, 422}


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x00\x05hello\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /conversations HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /runs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /docs/%2e%2e%2f__init__.py HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 20_000, 431),
    ],
    ids=lambda value: repr(value)[:32],
)
def test_errors_of_malformed_http_reveal_nothing(server: Server, raw: bytes, status: int) -> None:
    answer = ask(server, raw)

    assert answer.status == status
    headers = list(answer.headers.items())
    assert_reveals_nothing(httpx.Response(answer.status, headers=headers, content=answer.content))


@pytest.mark.process
def test_database_failures_reveal_nothing(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    """The failures: a lock, a broken schema, an outdated schema, and no connection."""
    url = new_migrated_database()
    secrets = [part for part in (make_url(url).database, make_url(url).host) if part]
    answers: list[httpx.Response] = []

    with (
        start_server(url, tmp_path, statement_timeout_ms="1000") as server,
        server.client("reader") as reader,
    ):

        def read_all() -> None:
            answers.extend(reader.get(path) for path in ("/conversations", "/runs", "/readyz"))

        with closing(psycopg2.connect(url)) as other, other.cursor() as cursor:
            cursor.execute("LOCK TABLE conversations, runs")
            read_all()
        execute(url, "ALTER TABLE runs ALTER created_at DROP DEFAULT")
        execute(url, "ALTER TABLE runs ALTER created_at TYPE text")
        execute(url, "DROP TABLE messages CASCADE", "DROP TABLE conversations CASCADE")
        execute(url, "DELETE FROM alembic_version")
        read_all()
        admin = make_url(url).set(database="postgres").render_as_string(hide_password=False)
        execute(
            admin,
            f'ALTER DATABASE "{make_url(url).database}" ALLOW_CONNECTIONS false',
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE datname = '{make_url(url).database}'",
        )
        read_all()

    assert [answer.status_code for answer in answers] == [504, 504, 200, 503, 500, 503] + [503] * 3
    for answer in answers:
        if answer.status_code != 200:
            assert_problem(answer, answer.status_code)
            assert_reveals_nothing(answer, SECRET, *secrets)
