"""Ends a run together with its last message."""

from collections.abc import Mapping
from typing import Any

import orjson

from db import runs
from db.engine import Connection
from db.errors import Conflict, Invalid
from db.messages import message_body, messages


def update(
    connection: Connection,
    *,
    run_id: str,
    user_id: str,
    changes: Mapping[str, Any],
    message: Mapping[str, Any] | None,
) -> bytes:
    """Change a run and, if it ends, post its message; return the run's document.

    Raises what `runs.update` raises, Invalid for a message without an end or a conversation, or
    with attachments that it cannot have, and Conflict if the run has already ended: it gets its
    message once.
    """
    if message is None:
        return runs.update(connection, run_id=run_id, user_id=user_id, changes=changes)
    if changes.get("status") not in runs.ENDED:
        raise Invalid("message", "needs a status that ends the run")
    before = orjson.loads(runs.lock_with_conversation(connection, run_id=run_id, user_id=user_id))
    if before["status"] in runs.ENDED:
        raise Conflict(f"The run is {before['status']}: a run that has ended gets no message.")
    if before["conversation_id"] is None:
        raise Invalid("message", "needs a run of a conversation")
    document = runs.update(connection, run_id=run_id, user_id=user_id, changes=changes)
    try:
        messages.insert(
            connection,
            conversation_id=before["conversation_id"],
            user_id=user_id,
            **message_body.read({**message, "run_id": run_id}),
        )
    except Invalid as error:
        error.field = f"message/{error.field}"
        raise
    return document
