"""A run changes its status only as the transitions allow."""

import json
from functools import partial

import pytest

from db import errors, runs
from db.engine import Connection
from tests.db.rows import insert_run


def test_conflict_names_the_allowed_statuses(
    connection: Connection, user: str, run_id: str
) -> None:
    with pytest.raises(errors.Conflict) as early:
        runs.update(connection, run_id=run_id, user_id=user, changes={"status": "succeeded"})
    runs.update(connection, run_id=run_id, user_id=user, changes={"status": "cancelled"})
    with pytest.raises(errors.Conflict) as late:
        runs.update(connection, run_id=run_id, user_id=user, changes={"status": "running"})

    assert early.value.detail == (
        "A run that is pending cannot become succeeded:"
        " it can become running, failed, timeout or cancelled."
    )
    assert late.value.detail == "A run that is cancelled cannot become running: it has ended."


def test_update_run_allows_exactly_the_transitions(connection: Connection, user: str) -> None:
    for origin, moves in runs.TRANSITIONS.items():
        for target in runs.TRANSITIONS:
            run = insert_run(connection, user)
            path = [] if origin == "pending" else ["running", origin]
            for status in path:
                runs.update(connection, run_id=run, user_id=user, changes={"status": status})
            move = partial(
                runs.update, connection, run_id=run, user_id=user, changes={"status": target}
            )
            if target in (origin, *moves):
                assert json.loads(move())["status"] == target
            else:
                with pytest.raises(errors.Conflict):
                    move()
