"""Feedback on messages: set, delete."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.responses import Response, no_content, ok
from db import feedback
from db.engine import transaction


def set_feedback(principal: Principal, message_id: str, body: dict[str, Any]) -> Response:
    given = {
        "rating": body["rating"],
        "tags": body.get("tags") or [],
        "comment": body.get("comment"),
    }
    with transaction() as connection:
        document = feedback.upsert(
            connection,
            message_id=message_id,
            user_id=principal.user_id,
            caller_id=principal.caller_id,
            feedback=given,
        )
    return ok(document)


def delete_feedback(principal: Principal, message_id: str) -> Response:
    with transaction() as connection:
        feedback.delete(
            connection,
            message_id=message_id,
            user_id=principal.user_id,
            caller_id=principal.caller_id,
        )
    return no_content()
