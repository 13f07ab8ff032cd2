"""The change log: list."""

from agent_api.auth.principal import Principal
from agent_api.http import etag
from agent_api.http.pagination import array
from agent_api.http.responses import Response, ok
from db import changes
from db.engine import autocommit
from db.paging.row_page import SEPARATOR


def list_changes(principal: Principal, after: int | None, limit: int) -> Response:
    with autocommit() as connection:  # not `reading`, because it numbers new changes
        page = changes.select_page(
            connection, user_id=principal.user_id, after=after, limit=limit, tag=etag.of
        )
    documents = SEPARATOR.join(change.document for change in page.changes)
    return ok({"limit": limit, "last_sequence": page.last_sequence}, changes=array(documents))
