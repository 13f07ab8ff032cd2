"""Versions of messages: list."""

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, envelope, is_position_key, read_cursor
from agent_api.http.responses import Response, ok
from db.engine import reading
from db.messages import message_versions


def list_message_versions(
    principal: Principal, message_id: str, limit: int, offset: int, cursor: str | None
) -> Response:
    listing = Listing(f"versions of {message_id}", principal.caller_id)
    after = read_cursor(cursor, listing=listing, offset=offset, is_key=is_position_key)
    with reading() as connection:
        page = message_versions.select_page(
            connection,
            message_id=message_id,
            user_id=principal.user_id,
            limit=limit,
            offset=offset,
            after=after,
        )
    return ok(envelope("versions", page, limit=limit, offset=offset, listing=listing))
