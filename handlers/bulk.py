"""Changes to many conversations at once."""

from typing import Any

import orjson

from agent_api.auth.principal import Principal
from agent_api.http.problems import Forbidden, NotFound, Problem, ValidationFailed, field_error
from agent_api.http.responses import Response, ok
from db.engine import transaction
from db.models import MAX_TAGS
from db.organising import bulk, tags

_FILTERS = ("archived", "pinned", "tag", "source", "agent_id")
_ALL_FILTERS = (*_FILTERS, "shared")
_NEED_TAGS = ("add_tags", "remove_tags")


def bulk_update_conversations(principal: Principal, body: dict[str, Any]) -> Response:
    action = body["action"]
    ids, filters = _selection(body)
    with transaction() as connection:
        found = bulk.update(
            connection,
            user_id=principal.user_id,
            action=action,
            given_tags=_tags(body),
            ids=ids,
            given=filters,
            shared=(body.get("filter") or {}).get("shared"),
        )
    return ok({"results": [_result(each, found, action) for each in ids or found]})


def _selection(body: dict[str, Any]) -> tuple[list[str] | None, dict[str, Any] | None]:
    """Return the ids, each once and in lower case, or the filters that have a value."""
    ids, given = body.get("ids"), body.get("filter")
    if ids is not None and given is None:
        return list(dict.fromkeys(each.lower() for each in ids)), None
    if ids is not None or given is None:
        raise _invalid("/ids", "or `filter` is required, and not both")
    if not given.keys() <= set(_ALL_FILTERS):  # a misspelt filter would select too much
        raise _invalid("/filter", f"has an unknown property; known are {', '.join(_ALL_FILTERS)}")
    filters = {name: given[name] for name in _FILTERS if given.get(name) is not None}
    if not filters and given.get("shared") is None:
        raise _invalid("/filter", f"needs at least one of {', '.join(_ALL_FILTERS)}")
    return None, filters


def _tags(body: dict[str, Any]) -> list[str]:
    given = body.get("tags")
    if body["action"] in _NEED_TAGS and not given:
        raise _invalid("/tags", f"is required for the action {body['action']}")
    return tags.checked(given or ())


def _invalid(pointer: str, detail: str) -> ValidationFailed:
    return ValidationFailed([field_error("body", pointer, detail)])


def _result(row_id: str, found: dict[str, bool], action: str) -> dict[str, Any]:
    done = 204 if action == "delete" else 200
    problem: Problem | None = None
    if row_id not in found:
        problem = NotFound("conversation")
    elif not found[row_id] and action == "delete":
        problem = Forbidden("conversation")
    elif not found[row_id]:
        problem = _invalid("/tags", f"would give the conversation more than {MAX_TAGS} tags")
    return {
        "id": row_id,
        "status": problem.status if problem else done,
        "problem": problem and orjson.Fragment(problem.body()),
    }
