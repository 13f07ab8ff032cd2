"""Tests that Statement behaves like SQLAlchemy's own execution, including database errors."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import orjson
import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from db import engine, errors
from db.engine import Connection
from db.engine.statement import AT_ONCE, Statement
from db.models import Id, Json, RunStatus, chat_settings, conversations, new_id, runs
from tests.db.rows import TRACED, row, traced

ID = "01a20507-d4ce-70cd-842d-47ae14f29b65"
SECRET = "a secret"
_user = sa.bindparam("acting_user", type_=sa.String)
_id = sa.bindparam("id", type_=Id)
_model = sa.bindparam("model", type_=sa.String)
PARAMETERS: dict[str, tuple[Any, Any]] = {
    "text": (sa.String, "50 % of 'é'\\"),
    "integer": (sa.BigInteger, 1 << 40),
    "double": (sa.Double, 0.7),
    "boolean": (sa.Boolean, True),
    "id": (Id, ID),
    "object": (Json, {"é": ["%s", None, {}]}),
    "array_of_objects": (Json, [{}]),
    "texts": (sa.ARRAY(sa.String), ["a", "b,}"]),
    "texts_with_a_length": (sa.ARRAY(sa.String(50)), ["a", "b,}"]),
    "enum": (RunStatus, "pending"),
    "none": (Json, None),
}


@pytest.fixture(autouse=True, params=[True, False], ids=["prepared", "not prepared"])
def configured(database_url: str, request: pytest.FixtureRequest) -> Iterator[None]:
    engine.configure(
        database_url,
        pool_size=4,
        statement_timeout_ms=500,
        prepare=request.param,
        hooks=TRACED,
    )
    yield
    engine.dispose()


def answer(statement: Any, **values: Any) -> Any:
    with engine.autocommit() as connection:
        return Statement(statement).scalar(connection, values)


def echo(type_: Any) -> sa.Select[Any]:
    return sa.select(sa.cast(sa.bindparam("value", type_=type_), type_))


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_returned_unchanged(name: str) -> None:
    type_, value = PARAMETERS[name]
    statement = echo(type_)

    found = answer(statement, value=value, of_another_statement={"a": SECRET})

    assert (orjson.loads(found) if type_ is Json and found else found) == value


def test_none_is_sql_null_if_the_type_says_so() -> None:
    value: sa.BindParameter[Any] = sa.bindparam("value", type_=Json)
    other: sa.BindParameter[Any] = sa.bindparam("value", type_=JSONB)

    assert answer(sa.select(sa.func.num_nulls(sa.cast(value, Json))), value=None) == 1
    assert answer(sa.select(sa.func.num_nulls(sa.cast(other, JSONB))), value=None) == 0


def test_statement_may_contain_literal_values() -> None:
    value = sa.bindparam("value", type_=sa.String)
    statement = sa.select(value.in_(["a", "b'%"]), sa.literal("%"))

    with engine.autocommit() as connection:
        for given, inside in (("b'%", True), ("c", False)):
            found = Statement(statement).row(connection, {"value": given})
            assert found == (inside, "%")


def test_no_row_returns_none() -> None:
    statement = Statement(sa.select(sa.literal(1)).where(sa.false()))

    with engine.autocommit() as connection:
        assert statement.scalar(connection, {}) is None
        assert statement.row(connection, {}) is None


def test_missing_parameter_raises_key_error() -> None:
    with pytest.raises(KeyError, match="value"):
        answer(echo(sa.String))


def test_column_with_a_python_default_must_be_named() -> None:
    Statement(sa.insert(runs), columns=("id", "agent_id", "created_by"))

    with pytest.raises(AssertionError, match="default"):
        Statement(sa.insert(runs), columns=("agent_id", "created_by"))


def test_statements_in_a_transaction_share_it() -> None:
    statement = Statement(sa.select(sa.func.txid_current()))

    with engine.transaction() as connection:
        together = {statement.scalar(connection, {}) for _ in range(2)}
    with engine.autocommit() as connection:
        alone = {statement.scalar(connection, {}) for _ in range(2)}

    assert (len(together), len(alone)) == (1, 2)


@pytest.mark.parametrize(("count", "messages"), [(12, 1), (AT_ONCE, 1), (2 * AT_ONCE + 1, 3)])
def test_execute_each_acts_as_each_user_in_turn(
    database_url: str, count: int, messages: int
) -> None:
    insert = Statement(sa.insert(chat_settings).values(id=_id, user_id=_user, model=_model))
    select = Statement(sa.select(chat_settings.c.model).where(chat_settings.c.user_id == _user))
    users = [new_id() for _ in range(count)]
    values = [{"acting_user": user, "id": user, "model": f"50 % of {user}"} for user in users]
    with engine.autocommit() as connection:
        select.row(connection, values[0])  # prepares

        with traced() as trace:
            insert.execute_each(connection, values)
        found = [select.scalar(connection, {"acting_user": user}) for user in users]

        insert.execute_each(connection, [])

    assert len(trace) == messages
    assert found == [each["model"] for each in values]


def test_execute_each_fails_as_a_whole(database_url: str) -> None:
    insert = Statement(sa.insert(chat_settings).values(id=_id, user_id=_user))
    select = Statement(sa.select(chat_settings.c.user_id).where(chat_settings.c.user_id == _user))
    users = [new_id() for _ in range(2)]
    values = [{"acting_user": user, "id": user} for user in (*users, users[0])]

    with pytest.raises(errors.Refused), engine.autocommit() as connection:
        insert.execute_each(connection, values)

    with engine.autocommit() as connection:
        assert [select.scalar(connection, {"acting_user": user}) for user in users] == [None, None]


def test_failed_transaction_rolls_back_its_statements() -> None:
    columns = {"id": ID, "title": "t", "user_id": "undone"}
    insert = Statement(sa.insert(conversations), columns=columns)
    values = {**columns, "acting_user": "undone"}
    count = sa.select(sa.func.count()).where(conversations.c.user_id == "undone")

    def fail() -> None:
        with engine.transaction() as connection:
            assert insert.rowcount(connection, values) == 1
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    assert answer(count, acting_user="undone") == 0


def test_connections_closed_while_idle_are_replaced() -> None:
    pid = Statement(sa.select(sa.func.pg_backend_pid()))
    with engine.autocommit() as first, engine.autocommit() as second:
        closed = [pid.scalar(each, {}) for each in (first, second)]
    terminate(closed)

    with engine.autocommit() as first, engine.transaction() as second:
        found = [pid.scalar(each, {}) for each in (first, second)]

    assert not set(found) & set(closed)


def test_connection_lost_in_use_raises_unavailable_and_discards_older_ones() -> None:
    pid = Statement(sa.select(sa.func.pg_backend_pid()))
    with engine.autocommit() as first, engine.autocommit() as second:
        before = [pid.scalar(each, {}) for each in (first, second)]

    def lose() -> None:
        with engine.autocommit() as connection:
            terminate([pid.scalar(connection, {})])
            pid.scalar(connection, {})

    with pytest.raises(errors.Unavailable, match="lost"):
        lose()

    with engine.autocommit() as first, engine.autocommit() as second:
        after = [pid.scalar(each, {}) for each in (first, second)]
    assert not set(before) & set(after)


def test_connection_lost_in_a_transaction_raises_unavailable_once() -> None:
    pid = Statement(sa.select(sa.func.pg_backend_pid()))

    def fail() -> None:
        with engine.transaction() as connection:
            terminate([pid.scalar(connection, {})])
            pid.scalar(connection, {})

    with pytest.raises(errors.Unavailable, match="lost") as raised:
        fail()

    # The log takes the reason from here.
    assert "administrator command" in str(raised.value.__cause__)
    with engine.transaction() as connection:
        assert pid.scalar(connection, {})


def test_slow_statement_raises_timeout_and_keeps_the_connection() -> None:
    pid = answer(sa.select(sa.func.pg_backend_pid()))

    with pytest.raises(errors.Timeout):
        answer(sa.select(sa.func.pg_sleep(5)))

    assert answer(sa.select(sa.func.pg_backend_pid())) == pid


def test_wrong_schema_raises_unavailable() -> None:
    with pytest.raises(errors.Unavailable, match="schema"):
        answer(sa.select(sa.literal_column("1")).select_from(sa.table("no_table")))


def test_read_only_database_raises_unavailable(database_url: str) -> None:
    columns = {"id": ID, "title": "t", "user_id": "u"}
    insert = Statement(sa.insert(conversations), columns=columns)
    options = "options=-c%20default_transaction_read_only%3Don"
    url = f"{database_url}{'&' if '?' in database_url else '?'}{options}"
    engine.configure(url, pool_size=1, statement_timeout_ms=5000)
    with pytest.raises(errors.Unavailable, match="read-only"), engine.transaction() as connection:
        insert.rowcount(connection, columns)


def test_other_database_error_passes_without_its_parameters() -> None:
    quotient = sa.text("SELECT 1 / :zero, :said")
    columns = {"id": ID, "title": "", "user_id": "u"}
    insert = Statement(sa.insert(conversations), columns=columns)
    values = {**columns, "acting_user": "u"}

    with engine.autocommit() as connection, pytest.raises(psycopg2.DataError) as raised:
        Statement(quotient).row(connection, {"zero": 0, "said": SECRET})
    with engine.autocommit() as connection, pytest.raises(psycopg2.IntegrityError):
        insert.rowcount(connection, values)

    assert SECRET not in str(raised.value)
    assert "division by zero" in str(raised.value)


def state(connection: Connection) -> tuple[Any, ...]:
    return row(
        connection,
        "SELECT current_setting('role'), current_setting('agent_api.acting_user', true),"
        " current_setting('statement_timeout')",
    )


def test_role_and_user_are_reset_before_the_connection_is_reused(database_url: str) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)
    whoami = Statement(sa.text("SELECT current_user || ' for ' || current_setting(:name)"))
    fails = Statement(sa.text("SELECT 1 / 0"))
    values = {"name": "agent_api.acting_user", "acting_user": "it's \\ me: %s;"}
    for lend in (engine.autocommit, engine.transaction):
        with lend() as connection:
            assert whoami.scalar(connection, values) == "agent_api_request for it's \\ me: %s;"
            assert whoami.scalar(connection, values | {"acting_user": "bob"}).endswith(" bob")
        with engine.autocommit() as connection:
            assert state(connection) == ("none", "", "5s")
        with pytest.raises(errors.Refused), lend() as connection:
            fails.scalar(connection, values)
        with engine.autocommit() as connection:
            assert state(connection) == ("none", "", "5s")


def test_timeout_applies_without_session_settings() -> None:
    sleep = Statement(sa.text("SELECT pg_sleep(5)"), prepare=False)

    with engine.autocommit() as connection:
        connection.execute("SET statement_timeout = 0")  # like a pooler
        with pytest.raises(errors.Timeout), engine.translated():
            sleep.scalar(connection, {})


def test_settings_cause_no_warning() -> None:
    with engine.autocommit() as connection:
        driver = connection._raw
        driver.notices = []
        Statement(sa.text("SELECT 1")).scalar(connection, {"acting_user": "u"})

        assert driver.notices == []


def terminate(pids: list[int]) -> None:
    with closing(psycopg2.connect(engine.url())) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s) AS pid", (pids,))
