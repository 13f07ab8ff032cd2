"""Tests of token buckets: compared with a model, under concurrent use, and swept."""

import time
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import engine, rate_limits
from db.engine import Connection
from tests.db.rows import value
from tests.db.waiting import at_once

ONE_PER_HOUR = 1 / 3600
AGE = (
    "UPDATE rate_limits SET updated_at = updated_at - make_interval(secs => %(seconds)s) "
    "WHERE user_id = %(user_id)s"
)
COUNT = "SELECT count(*) FROM rate_limits WHERE user_id LIKE %(pattern)s"


def age(connection: Connection, user_id: str, seconds: float) -> None:
    connection.execute(AGE, {"seconds": seconds, "user_id": user_id})


@settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    burst=st.integers(1, 6),
    per_minute=st.integers(1, 120),
    waits=st.lists(
        st.one_of(st.just(0.0), st.integers(0, 90).map(float), st.floats(0, 1e6)), max_size=25
    ),
)
def test_take_agrees_with_the_model(
    connection: Connection, burst: int, per_minute: int, waits: list[float]
) -> None:
    """The model's lower bound counts only the waits; its upper bound adds the test's own time."""
    user_id, per_second = f"user-{uuid.uuid4()}", per_minute / 60
    limit = rate_limits.Limit(burst, per_second)
    least = most = float(burst)
    for wait in [0.0, *waits]:
        started = time.monotonic()
        age(connection, user_id, wait)
        taken, tokens = rate_limits.take(connection, user_id=user_id, limit=limit)
        least = min(burst, least + wait * per_second)
        # Include the time between both statements, with a tolerance.
        most = min(burst, most + (wait + time.monotonic() - started + 0.1) * per_second)

        assert taken or least < 1 + 1e-6, "a token was refused although there was one"
        assert not taken or most >= 1 - 1e-6, "a token was given although there was none"
        least, most = least - taken, most - taken
        assert least - 1e-6 <= tokens <= most + 1e-6
        assert 0 <= tokens <= burst
        least = most = tokens


def test_clock_that_was_set_back_delays_new_tokens_only_for_seconds(
    connection: Connection,
) -> None:
    """The bucket's last update is then in the future, here by a day."""
    user_id, limit = f"user-{uuid.uuid4()}", rate_limits.Limit(burst=1, per_second=1)
    assert rate_limits.take(connection, user_id=user_id, limit=limit).taken

    age(connection, user_id, -86400)
    assert not rate_limits.take(connection, user_id=user_id, limit=limit).taken
    age(connection, user_id, 20)

    assert rate_limits.take(connection, user_id=user_id, limit=limit).taken


def test_concurrent_takes_share_the_tokens(configured: None) -> None:
    user_id = f"user-{uuid.uuid4()}"

    def take() -> rate_limits.Bucket:
        with engine.autocommit() as connection:
            return rate_limits.take(
                connection, user_id=user_id, limit=rate_limits.Limit(10, ONE_PER_HOUR)
            )

    buckets = [bucket for _ in range(3) for bucket in at_once([take] * 20)]

    assert sorted(int(tokens) for taken, tokens in buckets if taken) == list(range(10))


def test_smaller_burst_applies_to_existing_buckets(
    connection: Connection,
) -> None:
    user_id = f"user-{uuid.uuid4()}"
    rate_limits.take(connection, user_id=user_id, limit=rate_limits.Limit(100, ONE_PER_HOUR))

    smaller = rate_limits.take(
        connection, user_id=user_id, limit=rate_limits.Limit(5, ONE_PER_HOUR)
    )

    assert (smaller.taken, int(smaller.tokens)) == (True, 4)


def test_delete_full_keeps_buckets_in_use(connection: Connection) -> None:
    name, limit = f"sweep-{uuid.uuid4()}", rate_limits.Limit(10, 1.0)
    for number in range(30):
        rate_limits.take(connection, user_id=f"{name}-{number}", limit=limit)
        if number % 3:
            age(connection, f"{name}-{number}", 1.0)
        else:
            age(connection, f"{name}-{number}", -3600.0)

    while rate_limits.delete_full(connection, limit=limit, most=100):
        pass

    assert value(connection, COUNT, {"pattern": f"{name}-%"}) == 10


def test_delete_full_limits_its_rows(connection: Connection) -> None:
    add = (
        "INSERT INTO rate_limits (user_id, tokens, taken, updated_at) "
        "SELECT %(name)s || '-' || n, 1, true, 'epoch' FROM generate_series(1, %(rows)s) AS n"
    )
    name = f"many-{uuid.uuid4()}"
    connection.execute(add, {"name": name, "rows": 20})

    deleted = rate_limits.delete_full(connection, limit=rate_limits.Limit(2, 1.0), most=10)

    assert deleted == 10
    assert value(connection, COUNT, {"pattern": f"{name}-%"}) >= 10
