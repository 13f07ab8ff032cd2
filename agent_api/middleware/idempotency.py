"""Answers a POST that carries an Idempotency-Key once: who repeats it gets the first answer again.

The header is the one of the IETF draft draft-ietf-httpapi-idempotency-key-header. Handlers know
nothing of it: theirs is the work, and in the same transaction the frame keeps their answer.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from agent_api.contract.operation import Call, ResponseBreaksContract
from agent_api.http.problems import RequestInProgress, ValidationFailed, field_error
from agent_api.http.responses import Response
from db import idempotency_keys
from db.engine import transaction

_MEDIA_TYPE = "Content-Type"


def run_once(call: Call) -> Response:
    """Call the handler, unless the key has an answer already, and return its checked answer.

    An error is no answer: it undoes everything, so that a repeated request is carried out anew.
    Raises RequestInProgress, and ValidationFailed for a key that was used for something else.
    """
    assert call.principal is not None
    assert call.idempotency_key is not None
    operation, arguments = call.operation, call.operation.with_body(call.arguments, call.raw_body)
    fingerprint = _fingerprint(operation.operation_id, arguments)
    user_id, key = call.principal.user_id, call.idempotency_key
    with transaction() as connection:
        if not idempotency_keys.try_lock(connection, user_id=user_id, key=key):
            raise RequestInProgress
        answer = idempotency_keys.select_one(connection, user_id=user_id, key=key)
        if answer is not None:
            if answer.fingerprint != fingerprint:
                detail = "was used for another request: take a new one"
                raise ValidationFailed([field_error("header", "/Idempotency-Key", detail)])
            headers = dict(answer.headers)
            return Response(answer.status, answer.body, headers, headers.pop(_MEDIA_TYPE))
        response = operation.checked(operation.handler(**arguments))
        if not isinstance(response.body, bytes):
            raise ResponseBreaksContract(f"{operation.operation_id}: a stream cannot be repeated")
        idempotency_keys.insert(
            connection,
            user_id=user_id,
            key=key,
            fingerprint=fingerprint,
            status=response.status,
            headers={**response.headers, _MEDIA_TYPE: response.media_type},
            body=response.body,
        )
    return response


def _fingerprint(operation_id: str, arguments: Mapping[str, Any]) -> bytes:
    """Return what two requests share that ask for the same, however their JSON is written."""
    asked = {name: value for name, value in arguments.items() if name != "principal"}
    return sha256(orjson.dumps([operation_id, asked], option=orjson.OPT_SORT_KEYS)).digest()
