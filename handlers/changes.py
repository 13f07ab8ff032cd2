"""The change log: list, stream."""

from agent_api.auth.principal import Principal
from agent_api.http import etag
from agent_api.http.responses import Response, ok
from agent_api.live import follow
from agent_api.live.change_feed import change_feed
from db.change_log import changes
from db.engine import autocommit


def list_changes(principal: Principal, after: int | None, limit: int) -> Response:
    with autocommit() as connection:  # not `reading`, because it numbers new changes
        page = changes.select_page(
            connection, user_id=principal.user_id, after=after, limit=limit, tag=etag.of
        )
    documents = b"[%s]" % b",".join(change.document for change in page.changes)
    return ok({"limit": limit, "last_sequence": page.last_sequence}, changes=documents)


def stream_changes(
    principal: Principal,
    after: int | None,
    last_event_id: int | None,
    format: str,  # noqa: A002 (the contract names the parameter, and the argument must match)
) -> Response:
    position = after if last_event_id is None else last_event_id
    with autocommit() as connection:
        position = changes.select_position(connection, user_id=principal.user_id, after=position)
    return follow(change_feed(principal.user_id, form=format), principal, after=position)
