"""Events of runs: list, append, stream."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.responses import Response, created, no_content, ok
from agent_api.live import follow
from agent_api.live.run_feed import run_feed
from db.engine import autocommit, reading
from db.execution import run_events


def list_run_events(principal: Principal, run_id: str, after: int, limit: int) -> Response:
    with reading() as connection:
        page = run_events.select_page(
            connection, run_id=run_id, user_id=principal.user_id, after=after, limit=limit
        )
    return ok(
        b'{"events":%s,"limit":%d,"last_sequence":%d,"status":"%s"}'
        % (page.documents, limit, page.last_sequence, page.status.encode())
    )


def append_run_events(principal: Principal, run_id: str, body: dict[str, Any]) -> Response:
    with autocommit() as connection:
        numbers = run_events.insert(
            connection,
            run_id=run_id,
            user_id=principal.user_id,
            events=body["events"],
            after=body.get("after"),
        )
    document = {"first_sequence": numbers.first, "last_sequence": numbers.last}
    return created(document, f"/runs/{run_id}/events")


def stream_run_events(
    principal: Principal,
    run_id: str,
    after: int,
    last_event_id: int | None,
    format: str,  # noqa: A002 (the contract names the parameter, and the argument must match)
) -> Response:
    """Answer 204 if nothing will follow: an EventSource would connect again after a 200."""
    if last_event_id is not None:
        after = last_event_id
    with autocommit() as connection:
        last_sequence, status = run_events.select_position(
            connection, run_id=run_id, user_id=principal.user_id
        )
    if status not in run_events.ACTIVE and after >= last_sequence:
        return no_content()
    feed = run_feed(run_id, user_id=principal.user_id, form=format)
    return follow(feed, principal, after=after)
