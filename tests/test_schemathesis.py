"""Schemathesis sends requests that the contract allows, and requests that it forbids.

All of its checks run on every operation: few requests in `make test`, every phase in
`make test-all`. It draws random ids, so `Rows` replaces valid ones by ids and cursors that exist.
TEST_EXAMPLES sets the number of requests per operation of the slow tests; `make fuzz` uses 1,000.
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
    """Return the contract for requests as MARIA, whose rows SOMEBODY_ELSE must not see.

    `coverage` adds hundreds of requests: one for each boundary of each schema.
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
few = load(max_examples=5, coverage=False)
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
        """Return the id of a row: a new one if the method may change or delete it."""
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
        raise AssertionError(f"add a case that creates a {name}")

    def _post(self, path: str, body: dict[str, Any]) -> str:
        response = self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        row_id: str = response.json()["id"]
        return row_id


class Rows:
    """Puts rows of MARIA and SOMEBODY_ELSE into the requests that Schemathesis draws."""

    def __init__(self, mine: Owner, theirs: Owner) -> None:
        self.mine, self.theirs = mine, theirs

    def put_into(self, case: schemathesis.Case) -> None:
        """Put real ids into the path, mostly MARIA's; invalid values stay invalid."""
        assert case.meta is not None
        if not case.meta.is_negative_at(ParameterLocation.PATH):
            for name, drawn in case.path_parameters.items():
                # The drawn value decides, so that the same draw gives the same request.
                owner = [None, self.theirs, *[self.mine] * 6][uuid.UUID(drawn).int % 8]
                if owner is not None:
                    case.path_parameters[name] = owner.existing(name, case.method)
        self.put_references_into(case)

    def put_references_into(self, case: schemathesis.Case) -> None:
        """Put real ids, a real cursor and a new idempotency key in, because others are a 422."""
        assert case.meta is not None
        is_wrong = case.meta.is_negative_at(ParameterLocation.HEADER)
        # Schemathesis finds no valid value for a pattern with quotes, and puts an invalid one into
        # a case that it considers valid.
        is_mixed = is_wrong and case.meta.generation.mode.is_positive
        for name in {"If-Match", "If-None-Match"} & case.headers.keys():
            # A drawn tag never matches the row, so every request would be a 412.
            if is_mixed or (name == "If-Match" and not is_wrong):
                case.headers[name] = "*"
        # A key that was used before is refused, which no schema can express.
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
    """Tell whether `case` matches its schema but breaks a rule of the contract's text."""
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
def test_cursor_of_a_client_is_accepted_or_refused(cursor: str, rows: Rows) -> None:
    """`Rows` removes such cursors from the requests above, which would all be a 422."""
    conversation = rows.mine.existing("conversation_id", "GET")
    for path in ("/conversations", "/runs", f"/conversations/{conversation}/messages"):
        response = rows.mine.client.get(path, params={"cursor": cursor})
        assert response.status_code in (200, 422), response.text


def test_links(server: Server, rows: Rows) -> None:
    # Hypothesis may end a round before a link leads anywhere.
    assert any(follow_links(few, server, rows, stories=5) for _ in range(4))


@pytest.mark.slow
@takes_long
def test_links_thoroughly(server: Server, rows: Rows) -> None:
    # A round that Hypothesis ends early, see below, may have reached nothing.
    reached: set[str] = set()
    for _ in range(min(50, max(1, EXAMPLES // 10))):
        reached |= follow_links(many, server, rows, stories=20)
    assert reached


def follow_links(contract: Any, server: Server, rows: Rows, *, stories: int) -> set[str]:
    """Send requests in random order whose ids come from earlier responses, and check them all.

    Return the operations that a link led to and that succeeded.
    """
    machine: Any = contract.as_state_machine()
    reached: set[str] = set()
    failures: list[BaseException] = []

    class Story(machine):  # type: ignore[misc]  # made at run time
        def before_call(self, case: schemathesis.Case) -> None:
            super().before_call(case)
            for name, value in case.path_parameters.items():
                if value is None:  # a guessed link took it from a nullable property
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
    # Schemathesis decides at random whether it follows a link, so a repeated story may differ, and
    # Hypothesis calls that flaky. `failures` has what the checks found.
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
