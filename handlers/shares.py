"""Shares of conversations: create, list, delete."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.problems import ValidationFailed, field_error
from agent_api.http.responses import Response, created, no_content, ok
from db.engine import reading, transaction
from db.sharing import shares


def share_conversation(
    principal: Principal, conversation_id: str, body: dict[str, Any]
) -> Response:
    if body["user_id"] == principal.user_id:
        raise ValidationFailed([field_error("body", "/user_id", "must be another user than you")])
    with transaction() as connection:
        share = shares.upsert(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            member_id=body["user_id"],
            role=body["role"],
        )
    return created(share, f"/conversations/{conversation_id}/shares")


def list_shares(principal: Principal, conversation_id: str) -> Response:
    with reading() as connection:
        documents = shares.select_page(
            connection, conversation_id=conversation_id, user_id=principal.user_id
        )
    return ok(b'{"shares":%s}' % documents)


def unshare_conversation(principal: Principal, conversation_id: str, user_id: str) -> Response:
    with transaction() as connection:
        shares.delete(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            member_id=user_id,
            leaves=user_id == principal.caller_id,
        )
    return no_content()
