"""Chat settings: get, update."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.preconditions import conditional_write
from agent_api.http.responses import Response, ok
from db import chat_settings
from db.engine import reading


def get_chat_settings(principal: Principal) -> Response:
    with reading() as connection:
        return ok(chat_settings.select_one(connection, user_id=principal.user_id))


def update_chat_settings(
    principal: Principal, body: dict[str, Any], if_match: str | None
) -> Response:
    changes = {name: body[name] for name in chat_settings.DEFAULTS.keys() & body.keys()}
    user_id = principal.user_id
    with conditional_write(if_match, chat_settings.lock, user_id=user_id) as connection:
        return ok(chat_settings.upsert(connection, user_id=user_id, changes=changes))
