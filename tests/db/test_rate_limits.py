"""The bucket against a model of one, for all that use it at once, and what is left of it."""

import time
import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from db import engine, rate_limits
from tests.calls import at_once

SLOWLY = 1 / 3600
AGE = text(
    "UPDATE rate_limits SET updated_at = updated_at - make_interval(secs => :seconds) "
    "WHERE user_id = :user_id"
)
COUNT = text("SELECT count(*) FROM rate_limits WHERE user_id LIKE :pattern")


def let_pass(connection: Connection, user_id: str, seconds: float) -> None:
    connection.execute(AGE, {"seconds": seconds, "user_id": user_id})


@settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    burst=st.integers(1, 6),
    per_minute=st.integers(1, 120),
    waits=st.lists(
        st.one_of(st.just(0.0), st.integers(0, 90).map(float), st.floats(0, 1e6)), max_size=25
    ),
)
def test_take_agrees_with_a_model(
    connection: Connection, burst: int, per_minute: int, waits: list[float]
) -> None:
    """The model fills by the waits alone, and once more by all the time that the test took."""
    user_id, per_second = f"user-{uuid.uuid4()}", per_minute / 60
    limit = rate_limits.Limit(burst, per_second)
    least = most = float(burst)
    for wait in [0.0, *waits]:
        started = time.monotonic()
        let_pass(connection, user_id, wait)
        taken, tokens = rate_limits.take(connection, user_id=user_id, limit=limit)
        least = min(burst, least + wait * per_second)
        # What ran between the statement before and this one is in `most`, with room for its end.
        most = min(burst, most + (wait + time.monotonic() - started + 0.1) * per_second)

        assert taken or least < 1 + 1e-6, "there was a token, and it was refused"
        assert not taken or most >= 1 - 1e-6, "there was no token, and it was given"
        least, most = least - taken, most - taken
        assert least - 1e-6 <= tokens <= most + 1e-6
        assert 0 <= tokens <= burst
        least = most = tokens


def test_all_at_once_take_just_what_is_there(configured: None) -> None:
    user_id = f"user-{uuid.uuid4()}"

    def take() -> rate_limits.Bucket:
        with engine.autocommit() as connection:
            return rate_limits.take(
                connection, user_id=user_id, limit=rate_limits.Limit(10, SLOWLY)
            )

    buckets = [bucket for _ in range(3) for bucket in at_once([take] * 20)]

    assert sorted(int(tokens) for taken, tokens in buckets if taken) == list(range(10))


def test_a_bucket_that_grew_or_shrank_holds_what_the_new_setting_says(
    connection: Connection,
) -> None:
    user_id = f"user-{uuid.uuid4()}"
    rate_limits.take(connection, user_id=user_id, limit=rate_limits.Limit(100, SLOWLY))

    smaller = rate_limits.take(connection, user_id=user_id, limit=rate_limits.Limit(5, SLOWLY))

    assert (smaller.taken, int(smaller.tokens)) == (True, 4)


def test_delete_full_leaves_no_row_but_of_buckets_in_use(connection: Connection) -> None:
    name, limit = f"sweep-{uuid.uuid4()}", rate_limits.Limit(10, 1.0)
    for number in range(30):
        rate_limits.take(connection, user_id=f"{name}-{number}", limit=limit)
        if number % 3:
            let_pass(connection, f"{name}-{number}", 1.0)
        else:
            let_pass(connection, f"{name}-{number}", -3600.0)

    while rate_limits.delete_full(connection, limit=limit):
        pass

    assert connection.scalar(COUNT, {"pattern": f"{name}-%"}) == 10


def test_delete_full_takes_a_bounded_number(
    connection: Connection,
) -> None:
    add = text(
        "INSERT INTO rate_limits (user_id, tokens, taken, updated_at) "
        "SELECT :name || '-' || n, 1, true, 'epoch' FROM generate_series(1, :rows) AS n"
    )
    name = f"many-{uuid.uuid4()}"
    connection.execute(add, {"name": name, "rows": rate_limits.SWEEP_ROWS + 100})

    deleted = rate_limits.delete_full(connection, limit=rate_limits.Limit(2, 1.0))

    assert deleted == rate_limits.SWEEP_ROWS
    assert connection.scalar(COUNT, {"pattern": f"{name}-%"}) >= 100
