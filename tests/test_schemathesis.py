"""Schemathesis asks the real server for all that the contract allows, and for what it forbids.

All of its checks are on, for every operation, and in `make test-slow` every phase. What it draws is
random, so it knows no id of a row: `Rows` puts ids and cursors that exist where it drew valid ones.
How many requests it draws for an operation is said by TEST_EXAMPLES, which `make fuzz` sets to a
thousand.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard

import httpx
import hypothesis.errors
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import positive_data_acceptance
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation

from tests.contract import PATH, breaks_a_rule_in_words
from tests.servers import Server, sign

MARIA, SOMEBODY_ELSE = (f"{name}-{uuid.uuid4()}" for name in ("maria", "somebody-else"))


def load(max_examples: int, *, coverage: bool) -> Any:
    """Return the contract, its requests sent as MARIA; what she has, SOMEBODY_ELSE must not see.

    With `coverage` there are also requests for each boundary of each schema: hundreds.
    """
    users = [
        {"name": user, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {sign(user)}"}]}
        for user in (MARIA, SOMEBODY_ELSE)
    ]
    with TemporaryDirectory() as folder:
        document = Path(folder) / "users.json"
        document.write_text(json.dumps({"auth": users}))
        config = schemathesis.Config.from_dict(
            {
                "generation": {"max-examples": max_examples},
                "phases": {"coverage": {"enabled": coverage}},
                "auth": {
                    "wfc": {"path": str(document), "user": MARIA, "peers": [MARIA, SOMEBODY_ELSE]}
                },
            }
        )
        return schemathesis.openapi.from_path(PATH, config=config)


HELLO = {"role": "user", "content": "Hello"}
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "200"))
STORIES = 20
few = load(max_examples=10, coverage=False)
many = load(max_examples=EXAMPLES, coverage=True)
takes_long = pytest.mark.timeout(max(600, 3 * EXAMPLES))


class Owner:
    """A user with a conversation of two messages and two runs; `client` acts as this user."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self._kept = {name: self.new(name) for name in ("run_id", "message_id", "conversation_id")}
        for _ in range(2):
            self._post(f"/conversations/{self._kept['conversation_id']}/messages", HELLO)

    def existing(self, name: str, method: str) -> str:
        """Return the id of a row, a new one where the method may change or delete it."""
        return self._kept[name] if method == "GET" else self.new(name)

    def new(self, name: str) -> str:
        """Return the id of a new row for the parameter `name`."""
        match name:
            case "conversation_id":
                return self._post("/conversations", {})
            case "message_id":
                return self._post(f"/conversations/{self.new('conversation_id')}/messages", HELLO)
            case "run_id":
                return self._post("/runs", {"agent_id": "document-agent"})
        raise AssertionError(f"say here how a {name} is made")

    def _post(self, path: str, body: dict[str, Any]) -> str:
        response = self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        row_id: str = response.json()["id"]
        return row_id


class Rows:
    """Rows of MARIA's and of SOMEBODY_ELSE's, and the way into a request that was drawn."""

    def __init__(self, mine: Owner, theirs: Owner) -> None:
        self.mine, self.theirs = mine, theirs

    def put_into(self, case: schemathesis.Case) -> None:
        """Name real rows in the path, mostly MARIA's; what was drawn invalid stays invalid."""
        assert case.meta is not None
        if not case.meta.is_negative_at(ParameterLocation.PATH):
            for name, drawn in case.path_parameters.items():
                # By the drawn value, so that the same draw is the same request when it is shrunk.
                owner = [None, self.theirs, *[self.mine] * 6][uuid.UUID(drawn).int % 8]
                if owner is not None:
                    case.path_parameters[name] = owner.existing(name, case.method)
        self.put_references_into(case)

    def put_references_into(self, case: schemathesis.Case) -> None:
        """Let ids in the body and the cursor be real, and a key new: to all others it says 422."""
        assert case.meta is not None
        is_wrong = case.meta.is_negative_at(ParameterLocation.HEADER)
        # Schemathesis finds no good value for a pattern with quotes, and then has a wrong one in a
        # case that it takes for good.
        is_mixed = is_wrong and case.meta.generation.mode.is_positive
        for name in {"If-Match", "If-None-Match"} & case.headers.keys():
            # No tag that was drawn is that of the row, so that all would be a 412.
            if is_mixed or (name == "If-Match" and not is_wrong):
                case.headers[name] = "*"
        # One that was used before is refused, and no schema can say so.
        if "Idempotency-Key" in case.headers and (is_mixed or not is_wrong):
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
        if isinstance(case.body, dict):
            for name in {"run_id", "conversation_id"} & case.body.keys():
                drawn = case.body[name]
                if is_uuid(drawn) and not self._is_mine(name, drawn):
                    case.body[name] = self.mine.new(name)
        if "cursor" in case.query and not case.meta.generation.mode.is_negative:
            order = {name: case.query[name] for name in {"order", "order_by"} & case.query.keys()}
            page = self.mine.client.get(case.formatted_path, params={"limit": 1, **order})
            del case.query["cursor"]
            if (cursor := page.json().get("next_cursor")) is not None:
                case.query.pop("offset", None)
                case.query["cursor"] = cursor

    def _is_mine(self, name: str, row_id: str) -> bool:
        return self.mine.client.get(f"/{name.removesuffix('_id')}s/{row_id}").is_success


def is_uuid(value: object) -> TypeGuard[str]:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def breaks_only_words(case: schemathesis.Case) -> bool:
    """Tell whether `case` is good by its schema, and yet bad by the contract's text."""
    assert case.meta is not None
    return case.meta.generation.mode.is_positive and breaks_a_rule_in_words([case.body, case.query])


@pytest.fixture(scope="session")
def rows(server: Server) -> Iterator[Rows]:
    with server.client(MARIA) as mine, server.client(SOMEBODY_ELSE) as theirs:
        yield Rows(Owner(mine), Owner(theirs))


@few.parametrize()
def test_operation(case: schemathesis.Case, server: Server, rows: Rows) -> None:
    ask(case, server, rows)


@pytest.mark.slow
@takes_long
@many.parametrize()
def test_operation_thoroughly(case: schemathesis.Case, server: Server, rows: Rows) -> None:
    ask(case, server, rows)


def ask(case: schemathesis.Case, server: Server, rows: Rows) -> None:
    rows.put_into(case)
    if breaks_only_words(case):
        response = case.call_and_validate(server.url, excluded_checks=[positive_data_acceptance])
        assert response.status_code == 422
    else:
        case.call_and_validate(server.url)


ORDERS = st.sampled_from(["asc", "desc", "created_at asc", "created_at desc", "updated_at desc"])
TIMES = st.datetimes().map(lambda time: f"{time.isoformat(timespec='microseconds')}Z")
NO_TIMES = st.from_regex(
    r"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}\.[0-9]{6}Z", fullmatch=True
)
IDS = st.uuids().map(str)
KEYS = st.one_of(
    st.tuples(TIMES | NO_TIMES, IDS),
    st.tuples(st.integers()),
    st.lists(st.none() | st.booleans() | st.text(max_size=10) | st.floats(), max_size=3),
)
CURSORS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,512}", fullmatch=True),
    st.tuples(ORDERS, KEYS).map(
        lambda cursor: base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")
    ),
)


@hypothesis.given(cursor=CURSORS)
@hypothesis.settings(max_examples=40, deadline=None)
def test_cursor_that_the_server_did_not_make_does_no_harm(cursor: str, rows: Rows) -> None:
    """`Rows` keeps these out of the requests above, which would all be 422."""
    conversation = rows.mine.existing("conversation_id", "GET")
    for path in ("/conversations", "/runs", f"/conversations/{conversation}/messages"):
        response = rows.mine.client.get(path, params={"cursor": cursor})
        assert response.status_code in (200, 422), response.text


def test_links(server: Server, rows: Rows) -> None:
    assert follow_links(few, server, rows, stories=STORIES)


@pytest.mark.slow
@takes_long
def test_links_thoroughly(server: Server, rows: Rows) -> None:
    # A round that hypothesis ends early, see below, may have reached nothing.
    reached: set[str] = set()
    for _ in range(min(50, max(1, EXAMPLES // 10))):
        reached |= follow_links(many, server, rows, stories=STORIES)
    assert reached


def follow_links(contract: Any, server: Server, rows: Rows, *, stories: int) -> set[str]:
    """Send requests whose ids come from earlier answers, in random order, and check them all.

    Return the operations that a link has led to, and that answered with success.
    """
    machine: Any = contract.as_state_machine()
    reached: set[str] = set()
    failures: list[BaseException] = []

    class Story(machine):  # type: ignore[misc]  # made at run time
        def before_call(self, case: schemathesis.Case) -> None:
            super().before_call(case)
            for name, value in case.path_parameters.items():
                if value is None:  # taken from an answer where it may be null, by a guessed link
                    case.path_parameters[name] = rows.mine.existing(name, case.method)
            rows.put_references_into(case)

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {**super().get_call_kwargs(case), "base_url": server.url}

        def validate_response(
            self, response: schemathesis.Response, case: schemathesis.Case, **kwargs: Any
        ) -> None:
            excluded = [positive_data_acceptance] if breaks_only_words(case) else []
            try:
                case.validate_response(
                    response,
                    excluded_checks=excluded,
                    transport_kwargs=kwargs,
                    recorder=self.recorder,
                )
            except FailureGroup as failure:
                failures.append(failure)
                raise
            if response.status_code < 300 and self.recorder.find_parent(case_id=case.id):
                reached.add(case.operation.definition.raw["operationId"])

    settings = hypothesis.settings(Story.TestCase.settings, max_examples=stories)
    # Schemathesis tosses a coin of its own to follow a link or not, so the same story told again
    # may go on differently; hypothesis objects to that. What a check has found is in `failures`.
    with suppress(hypothesis.errors.Flaky):
        Story.run(settings=settings)
    for failure in failures:
        raise failure
    return reached


@pytest.mark.process
def test_client_that_runs_schemathesis_gets_no_report(server: Server, tmp_path: Path) -> None:
    """docs/contract-testing.md says how."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    token = sign(f"ci-{uuid.uuid4()}")
    shutil.copy(PATH.with_name("schemathesis.toml"), tmp_path)

    finished = subprocess.run(
        (
            *(program, "run", f"{server.url}/openapi.yaml", "--phases", "examples,coverage"),
            *("--header", f"Authorization: Bearer {token}"),
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "No issues found" in finished.stdout, finished.stdout + finished.stderr
