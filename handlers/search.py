"""Search in messages."""

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, is_score_key, read_cursor, results_envelope
from agent_api.http.problems import ValidationFailed, field_error
from agent_api.http.responses import Response, ok
from agent_api.http.times import read_time
from db.engine import reading
from db.search import query
from db.search import search as searching

_ARCHIVED = {"true": True, "false": False, "all": None}


def search(
    principal: Principal,
    q: str,
    limit: int,
    conversation_id: str | None,
    role: str | None,
    created_after: str | None,
    created_before: str | None,
    archived: str,
    source: str | None,
    agent_id: str | None,
    shared: bool | None,
    cursor: str | None,
) -> Response:
    listing = Listing("search", principal.user_id)
    after = read_cursor(cursor, listing=listing, offset=0, is_key=is_score_key)
    try:
        parsed = query.parse(q)
    except query.Unsearchable as error:
        raise ValidationFailed([field_error("query", "/q", error.detail)]) from error
    with reading() as connection:
        page = searching.select_page(
            connection,
            user_id=principal.user_id,
            query=parsed,
            limit=limit,
            conversation_id=conversation_id,
            role=role,
            created_after=read_time(created_after, name="created_after"),
            created_before=read_time(created_before, name="created_before"),
            archived=_ARCHIVED[archived],
            source=source,
            agent_id=agent_id,
            shared=shared,
            after=after,
        )
    return ok(results_envelope(page.documents, page.next_key, limit=limit, listing=listing))
