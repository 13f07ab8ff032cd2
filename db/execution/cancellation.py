"""Cancels runs: pending ones at once, running ones by asking their worker."""

import orjson
import sqlalchemy as sa

from db import access, runs
from db.engine import Connection
from db.engine.statement import Statement
from db.execution import run_events
from db.models import Id
from db.models import runs as _runs
from db.run_documents import RUN

_c = _runs.c
_request = Statement(
    sa.update(_runs)
    .where(_c.id == sa.bindparam("this_id", type_=Id), access.RUN)
    .values(cancel_requested_at=runs.NOW, updated_at=runs.NOW, last_sequence=_c.last_sequence + 1)
    .returning(*RUN.columns, _c.last_sequence)
)


def cancel(connection: Connection, *, run_id: str, user_id: str) -> bytes:
    """Cancel a run, and return its document. A run that has ended stays as it is.

    It needs a transaction. Raises Missing and Denied.
    """
    document = runs.lock_with_conversation(connection, run_id=run_id, user_id=user_id)
    run = orjson.loads(document)
    if run["status"] == "pending":
        return runs.update(
            connection, run_id=run_id, user_id=user_id, changes={"status": "cancelled"}
        )
    if run["status"] != "running" or run["cancel_requested_at"] is not None:
        return document
    row = _request.row(connection, {"this_id": run_id, "acting_user": user_id})
    return run_events.insert_from_server(
        connection, row, user_id=user_id, event_type="run.cancel_requested"
    )
