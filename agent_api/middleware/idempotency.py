"""Runs a POST with an Idempotency-Key once, and repeats its response for retries.

Implements draft-ietf-httpapi-idempotency-key-header. The response is stored in the transaction of
the handler, which does not know about the key.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from agent_api.contract.operation import Request, ResponseBreaksContract
from agent_api.http.problems import RequestInProgress, ValidationFailed, field_error
from agent_api.http.responses import Response
from db import idempotency_keys
from db.engine import transaction

_MEDIA_TYPE = "Content-Type"


def run_once(request: Request) -> Response:
    """Run the handler, or return the stored response if the key has one.

    An error rolls everything back, so that a retry runs the handler again.

    Raises RequestInProgress, and ValidationFailed if the key was used for a different request.
    """
    assert request.principal is not None
    assert request.idempotency_key is not None
    operation = request.operation
    arguments = operation.with_body(request.arguments, request.raw_body)
    fingerprint = _fingerprint(operation.operation_id, arguments)
    user_id, key = request.principal.user_id, request.idempotency_key
    with transaction() as connection:
        if not idempotency_keys.try_lock(connection, user_id=user_id, key=key):
            raise RequestInProgress
        stored = idempotency_keys.select_one(connection, user_id=user_id, key=key)
        if stored is not None:
            if stored.fingerprint != fingerprint:
                detail = "was used for a different request: send a new key"
                raise ValidationFailed([field_error("header", "/Idempotency-Key", detail)])
            headers = dict(stored.headers)
            return Response(stored.status, stored.body, headers, headers.pop(_MEDIA_TYPE))
        response = operation.to_response(operation.handler(**arguments))
        if not isinstance(response.body, bytes):
            raise ResponseBreaksContract(f"{operation.operation_id}: cannot repeat a stream")
        idempotency_keys.insert(
            connection,
            user_id=user_id,
            key=key,
            fingerprint=fingerprint,
            status=response.status,
            headers={**response.headers, _MEDIA_TYPE: response.media_type},
            body=response.body,
            conversation_id=_conversation_of(response),
        )
    return response


def _conversation_of(response: Response) -> str | None:
    """Return the id of the conversation that the response is about, if there is one.

    The stored response is deleted together with that conversation.
    """
    document = orjson.loads(response.body) if response.body else None
    if not isinstance(document, dict):
        return None
    conversation_id: str | None = document.get("conversation_id")
    if conversation_id is None and response.headers.get("Location", "").startswith(
        "/conversations/"
    ):
        return str(document["id"])
    return conversation_id


def _fingerprint(operation_id: str, arguments: Mapping[str, Any]) -> bytes:
    """Return a hash that is equal for equal requests in any JSON formatting."""
    relevant = {name: value for name, value in arguments.items() if name != "principal"}
    return sha256(orjson.dumps([operation_id, relevant], option=orjson.OPT_SORT_KEYS)).digest()
