"""Runs: create, get, list, update, cancel."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, envelope, is_time_key, read_cursor
from agent_api.http.preconditions import conditional_write
from agent_api.http.responses import Response, created, ok
from db import runs
from db.engine import reading, transaction
from db.execution import busy, cancellation, run_endings

_CLEARABLE = frozenset({"output", "error"})


def create_run(principal: Principal, body: dict[str, Any]) -> Response:
    new: dict[str, Any] = {
        "user_id": principal.user_id,
        "conversation_id": body.get("conversation_id"),
        "status": body.get("status") or "pending",
    }
    with transaction() as connection:
        waits = busy.apply_policy(connection, if_busy=body.get("if_busy") or "allow", **new)
        run_id, run = runs.insert(
            connection, **new, agent_id=body["agent_id"], input=body.get("input"), waits=waits
        )
    return created(run, f"/runs/{run_id}")


def get_run(principal: Principal, run_id: str) -> Response:
    with reading() as connection:
        run = runs.select_one(connection, run_id=run_id, user_id=principal.user_id)
    return ok(run)


def list_runs(
    principal: Principal,
    limit: int,
    offset: int,
    order: str,
    conversation_id: str | None,
    agent_id: str | None,
    status: str | None,
    cursor: str | None,
) -> Response:
    listing = Listing(f"runs {order}", principal.user_id)
    after = read_cursor(cursor, listing=listing, offset=offset, is_key=is_time_key)
    with reading() as connection:
        page = runs.select_page(
            connection,
            user_id=principal.user_id,
            limit=limit,
            offset=offset,
            order=order,
            conversation_id=conversation_id,
            agent_id=agent_id,
            status=status,
            after=after,
        )
    return ok(envelope("runs", page, limit=limit, offset=offset, listing=listing))


def update_run(
    principal: Principal, run_id: str, body: dict[str, Any], if_match: str | None
) -> Response:
    """Change the properties in `body`. Null clears output and error, not status."""
    changes = {name: body[name] for name in _CLEARABLE & body.keys()}
    if body.get("status") is not None:
        changes["status"] = body["status"]
    row = {"run_id": run_id, "user_id": principal.user_id}
    with conditional_write(if_match, runs.lock_with_conversation, True, **row) as connection:
        run = run_endings.update(connection, **row, changes=changes, message=body.get("message"))
    return ok(run)


def cancel_run(principal: Principal, run_id: str) -> Response:
    with transaction() as connection:
        run = cancellation.cancel(connection, run_id=run_id, user_id=principal.user_id)
    return ok(run)
