"""Tests that the check of statements finds what distributed tables refuse."""

import pytest

from tests.db.partitions.module_statements import written
from tests.db.partitions.refusals import refusal_of


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("WITH m AS (INSERT INTO a VALUES (1) RETURNING 1) SELECT * FROM m", "INSERT in a CTE"),
        ("INSERT INTO a VALUES (1, (SELECT 2))", "a subquery in VALUES"),
        ("SELECT 1 FROM (\n  SELECT FROM a LIMIT 2) b", "a SELECT without columns"),
        ("SELECT 1 FROM a WHERE id = %(id)s FOR NO KEY UPDATE", "a lock without the owner"),
        ("UPDATE a SET b = 1 RETURNING json_build_object('b', b)", "json_build_object"),
        ("UPDATE a SET b = CASE WHEN c THEN lower(now()) END", "now"),
        ("UPDATE a SET b = coalesce(b, greatest(random(), 1))", "random"),
        ("INSERT INTO a VALUES (1) ON CONFLICT (b) DO UPDATE SET b = CURRENT_DATE", "CURRENT_DATE"),
        ("UPDATE a SET b = greatest(now(), a.b + interval '1 s')", "an interval added to a column"),
        ("UPDATE a SET b = timezone('UTC', a.b) + interval '1 s'", None),
        ("UPDATE a SET b = now() WHERE user_id = 'u' RETURNING greatest(b)", None),
    ],
)
def test_refused_parts_are_found(sql: str, problem: str | None) -> None:
    assert refusal_of(sql) == problem


def test_sql_of_modules_uses_nothing_that_distributed_tables_refuse() -> None:
    found = {name: problem for name, sql in written().items() if (problem := refusal_of(sql))}

    assert found == {}
