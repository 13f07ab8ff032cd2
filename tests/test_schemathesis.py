"""Schemathesis sends random valid and invalid requests to every operation, with all its checks.

Schemathesis generates ids and cursors that do not exist; `Rows` replaces the valid ones by real
ones. These tests send a few requests to each operation, and test_schemathesis_thorough.py many.
"""

import base64
import json
import tomllib
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.errors
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
)
from schemathesis.core.failures import FailureGroup

from tests.calls import attempts
from tests.contract import OPERATIONS, PATH, breaks_a_rule_in_words
from tests.real_rows import Owner, Rows
from tests.servers import Server, sign

MARIA, SOMEBODY_ELSE = (f"{name}-{uuid.uuid4()}" for name in ("maria", "somebody-else"))


def load(max_examples: int, *, coverage: bool) -> Any:
    """Load the contract with MARIA as the user, and check that SOMEBODY_ELSE sees none of her rows.

    `coverage` adds hundreds of requests for the boundaries of each schema.
    """
    users = [
        {"name": user, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {sign(user)}"}]}
        for user in (MARIA, SOMEBODY_ELSE)
    ]
    published = tomllib.loads(PATH.with_name("schemathesis.toml").read_text())
    (changes,) = [each for each in published["operations"] if "include-method" in each]
    with TemporaryDirectory() as folder:
        document = Path(folder) / "users.json"
        document.write_text(json.dumps({"auth": users}))
        config = schemathesis.Config.from_dict(
            {
                "generation": {"max-examples": max_examples},
                "phases": {"coverage": {"enabled": coverage}},
                # Not the other check: `Rows` and `send` make it stricter.
                "checks": {"negative_data_rejection": changes["checks"]["negative_data_rejection"]},
                "auth": {
                    "wfc": {"path": str(document), "user": MARIA, "peers": [MARIA, SOMEBODY_ELSE]}
                },
            }
        )
        return schemathesis.openapi.from_path(PATH, config=config)


few = load(max_examples=attempts(3, 10), coverage=False)


def breaks_only_a_rule_in_words(case: schemathesis.Case) -> bool:
    """Return whether `case` is valid by its schema but not by the contract's descriptions."""
    assert case.meta is not None
    return case.meta.generation.mode.is_positive and breaks_a_rule_in_words([case.body, case.query])


@pytest.fixture(scope="session")
def rows(server: Server) -> Iterator[Rows]:
    with server.client(MARIA) as maria, server.client(SOMEBODY_ELSE) as somebody_else:
        yield Rows(Owner(maria), Owner(somebody_else))


def check(contract: Any, operation_id: str) -> Any:
    """Return a test that sends the requests of `contract` for one operation."""

    def test(case: schemathesis.Case, server: Server, rows: Rows) -> None:
        send(case, server, rows)

    return contract.include(operation_id=operation_id).parametrize()(test)


# Schemathesis gives the tests of all operations of one function the same node id, and
# `pytest --dist loadfile` runs only one test for each node id.
# The stream of changes has no end.
ENDING = [o.operation_id for o in OPERATIONS if o.operation_id != "stream_changes"]
for _id in ENDING:
    globals()[f"test_{_id}_matches_the_contract"] = check(few, _id)


def send(case: schemathesis.Case, server: Server, rows: Rows) -> None:
    rows.use_real_rows(case)
    # As in openapi/schemathesis.toml, whose [[operations]] would undo `include`.
    of_streams = [response_schema_conformance, negative_data_rejection]
    excluded = of_streams if case.path.endswith("/stream") else []
    if breaks_only_a_rule_in_words(case):
        excluded = [*excluded, positive_data_acceptance]
        response = case.call_and_validate(server.url, excluded_checks=excluded)
        assert response.status_code == 422
    else:
        case.call_and_validate(server.url, excluded_checks=excluded)


ORDERS = st.sampled_from(["asc", "desc", "created_at asc", "created_at desc", "updated_at desc"])
TIMES = st.datetimes().map(lambda time: f"{time.isoformat(timespec='microseconds')}Z")
INVALID_TIMES = st.from_regex(
    r"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}\.[0-9]{6}Z", fullmatch=True
)
IDS = st.uuids().map(str)
KEYS = st.one_of(
    st.tuples(TIMES | INVALID_TIMES, IDS),
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
def test_invented_cursors_are_accepted_or_rejected(cursor: str, rows: Rows) -> None:
    """`Rows` replaces these cursors in the requests above."""
    conversation = rows.maria.existing("conversation_id", "GET")
    for path in ("/conversations", "/runs", f"/conversations/{conversation}/messages"):
        response = rows.maria.client.get(path, params={"cursor": cursor})
        assert response.status_code in (200, 422), response.text


def test_linked_requests_match_the_contract(server: Server, rows: Rows) -> None:
    # Hypothesis may end a round before a link succeeds, see `follow_links`.
    assert any(follow_links(few, server, rows, sequences=attempts(8, 20)) for _ in range(3))


def follow_links(contract: Any, server: Server, rows: Rows, *, sequences: int) -> set[str]:
    """Send and check random sequences of requests with ids from earlier responses.

    Return the operations that were reached by a link and succeeded.
    """
    # A link to a stream would lead to a run that has not ended, and whose stream does not either.
    streams = [o.operation_id for o in OPERATIONS if o.is_stream]
    machine: Any = contract.exclude(operation_id=streams).as_state_machine()
    reached: set[str] = set()
    failures: list[BaseException] = []

    class Sequence(machine):  # type: ignore[misc]  # made at run time
        def before_call(self, case: schemathesis.Case) -> None:
            super().before_call(case)
            for name, value in case.path_parameters.items():
                if value is None:  # an inferred link may refer to a nullable property
                    case.path_parameters[name] = rows.maria.existing(name, case.method)
            rows.use_real_references(case)

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {**super().get_call_kwargs(case), "base_url": server.url}

        def validate_response(
            self, response: schemathesis.Response, case: schemathesis.Case, **kwargs: Any
        ) -> None:
            excluded = [positive_data_acceptance] if breaks_only_a_rule_in_words(case) else []
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

    settings = hypothesis.settings(Sequence.TestCase.settings, max_examples=sequences)
    # Schemathesis chooses links at random, so Hypothesis may report a repeated sequence as flaky.
    # `failures` has the results of the checks.
    with suppress(hypothesis.errors.Flaky):
        Sequence.run(settings=settings)
    for failure in failures:
        raise failure
    return reached
