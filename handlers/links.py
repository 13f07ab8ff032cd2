"""Public links: create, list, delete, and what they show."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.links import address_of, hash_of, new_secret
from agent_api.http.problems import LinkNotFound, ValidationFailed, field_error
from agent_api.http.responses import Response, created, no_content, ok
from db.engine import autocommit, reading, transaction
from db.publishing import links, published

_PUBLIC = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


def create_link(principal: Principal, conversation_id: str, body: dict[str, Any]) -> Response:
    expires_at = _future(body.get("expires_at"))
    secret = new_secret()
    with transaction() as connection:
        link = links.insert(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            secret_hash=hash_of(secret),
            with_attachments=bool(body.get("with_attachments")),
            expires_at=expires_at,
        )
    response = created(link, f"/conversations/{conversation_id}/links")
    shown = {"secret": secret, "url": address_of(secret)}
    return replace(
        response, extra_members={name: json.dumps(text).encode() for name, text in shown.items()}
    )


def _future(text: str | None) -> str | None:
    """Return a time of RFC 3339 in UTC. Raises ValidationFailed unless it is in the future."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment <= datetime.now(UTC):
        raise ValidationFailed([field_error("body", "/expires_at", "must be in the future")])
    return moment.isoformat()


def list_links(principal: Principal, conversation_id: str) -> Response:
    with reading() as connection:
        documents = links.select_page(
            connection, conversation_id=conversation_id, user_id=principal.user_id
        )
    return ok(b'{"links":%s}' % documents)


def delete_link(principal: Principal, conversation_id: str, link_id: str) -> Response:
    with transaction() as connection:
        links.delete(
            connection,
            conversation_id=conversation_id,
            link_id=link_id,
            user_id=principal.user_id,
        )
    return no_content()


def get_shared_conversation(secret: str) -> Response:
    with autocommit() as connection:  # not `reading`: a link that was deleted must not work
        snapshot = published.select_one(connection, secret_hash=hash_of(secret))
    if snapshot is None:
        raise LinkNotFound
    return Response(200, snapshot, _PUBLIC)
