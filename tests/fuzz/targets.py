"""The fuzz targets: each takes bytes, and raises if the code under test misbehaves.

The code may refuse the bytes with the problems in the target's docstring, whose responses must be
valid. Any other exception is a defect that a client would see as a 500.
"""

import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import orjson

from agent_api import app
from agent_api.auth import key_set
from agent_api.auth.authenticator import Authenticator, bearer_token
from agent_api.contract import strict_json
from agent_api.contract.operation import Operation
from agent_api.http import pagination
from agent_api.http.problems import BadRequest, Unauthorized, ValidationFailed
from agent_api.settings import Settings
from tests.contract import breaks_a_rule_in_words
from tests.identity import KeyPair, KeyServer
from tests.servers import SECRET

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LISTING = pagination.Listing("created_at desc", "maria")
_KEYS = [KeyPair(algorithm, algorithm) for algorithm in ("RS256", "ES256", "EdDSA")]


def _provider() -> Authenticator:
    """Return an authenticator for an identity provider, after fetching its keys."""
    server = KeyServer(*_KEYS)
    authenticator = Authenticator(
        Settings(data_dir=Path("/nowhere"), jwt_jwks_url=server.url, jwt_audience="agent-api")
    )
    assert authenticator.keys.must_fetch(_KEYS[0].sign("anybody"))
    authenticator.keys.fetch()
    server.close()
    return authenticator


_shared = Authenticator(Settings(data_dir=Path("/nowhere"), jwt_secret=SECRET))
_trusting = _provider()
_operations: list[Operation] = sorted(
    app.compile_contract(),
    key=lambda operation: operation.operation_id,
)


def token(data: bytes) -> None:
    """Read an Authorization header: the result is a principal or Unauthorized."""
    for authenticator in (_shared, _trusting):
        _authenticate(authenticator, data)
        _authenticate(authenticator, b"Bearer " + data)


def claims(data: bytes) -> None:
    """Read a token whose header and claims are arbitrary but correctly signed."""
    head, _, payload = data.partition(b"\n")
    algorithm = jwt.get_algorithm_by_name("HS256")
    for header in (b'{"alg": "HS256"}', head):
        parts = [jwt.utils.base64url_encode(part) for part in (header, payload)]
        signature = algorithm.sign(b".".join(parts), SECRET.encode())
        signed = b".".join([*parts, jwt.utils.base64url_encode(signature)])
        _authenticate(_shared, b"Bearer " + signed)
        _authenticate(_trusting, b"Bearer " + signed)


def _authenticate(authenticator: Authenticator, header: bytes) -> None:
    try:
        found = bearer_token({b"authorization": [header]})
        authenticator.keys.must_fetch(found)
        principal = authenticator.verify(found)
    except Unauthorized as problem:
        problem.body()
        return
    assert authenticator is _shared, "accepted a token that no key of the provider signed"
    assert 1 <= len(principal.user_id) <= 255, principal
    assert not _CONTROL.search(principal.user_id), principal
    assert all(isinstance(scope, str) for scope in principal.scopes), principal


def keys(data: bytes) -> None:
    """Read a key set: the result is public keys, ValueError or RecursionError."""
    try:
        found = key_set.read_keys(data)
    except (ValueError, RecursionError):
        return
    assert found
    assert all(name[:2] in ("RS", "PS", "ES", "Ed") for key in found for name in key.algorithms)


def parameters(data: bytes) -> None:
    """Read query, path and headers of each operation: arguments or ValidationFailed."""
    text = data.decode("latin-1")
    unicode = data.decode("utf-8", errors="replace")
    for operation in _operations:
        names = [p.name for p in operation.parameters if p.place == "query"]
        for query in (data, *(f"{name}=".encode() + data for name in names)):
            for value in (text, unicode):
                path = {p.name: value for p in operation.parameters if p.place == "path"}
                headers = {
                    p.name.lower().encode(): [data]
                    for p in operation.parameters
                    if p.place == "header"
                }
                _refusable(operation.read_arguments, path, query, headers, None)


def cursor(data: bytes) -> None:
    """Read a cursor that is or contains the bytes: a key of its list or a problem."""
    made = pagination._write_cursor(_LISTING, [data.decode("latin-1")])
    around = jwt.utils.base64url_encode(b'["created_at desc", ' + data + b"]").decode()
    for text in (data.decode("utf-8", errors="replace"), around, made):
        for is_key in (pagination.is_time_key, pagination.is_position_key):
            read = partial(pagination.read_cursor, listing=_LISTING, offset=0, is_key=is_key)
            key = _refusable(read, text)
            assert key is None or is_key(key), key


def json_body(data: bytes) -> None:
    """A body: a value that comes back as it went in, or BadRequest or ValidationFailed."""
    value = _refusable(strict_json.parse, data)
    if value is not None:
        assert orjson.loads(orjson.dumps(value)) == value
        assert not breaks_a_rule_in_words(value), "PostgreSQL cannot store it"
    for operation in _operations:
        if operation.has_body:
            _refusable(operation.parse_body, data)


def _refusable(act: Callable[..., Any], *arguments: object) -> Any:
    """Return the result of `act`, or None if it raises a problem with a valid response."""
    try:
        return act(*arguments)
    except (BadRequest, ValidationFailed) as problem:
        json.loads(problem.body())
        return None


TARGETS: dict[str, Callable[[bytes], None]] = {
    "token": token,
    "claims": claims,
    "keys": keys,
    "parameters": parameters,
    "cursor": cursor,
    "json_body": json_body,
}
SEEDS: dict[str, list[bytes]] = {
    "token": [key.sign("alice").encode() for key in _KEYS]
    + [jwt.encode({"sub": "alice", "exp": int(time.time()) + 10**6}, SECRET, "HS256").encode()],
    "claims": [
        b'{"alg": "HS256", "kid": "RS256", "crit": ["b64"]}\n{"sub": "alice", "exp": 4102444800}',
        b'{}\n{"sub": "a", "exp": 1e99, "nbf": 1, "iat": 1, "jti": "1", "scope": "read write"}',
        b'{}\n{"sub": "a", "exp": 4102444800.5, "aud": ["agent-api"], "iss": "me"}',
    ],
    "keys": [json.dumps({"keys": [key.jwk]}).encode() for key in _KEYS],
    "parameters": [
        b"limit=1&offset=2&order=desc&order_by=updated_at&source=%C3%BC",
        b"019cadd3-7914-7a6a-8d23-f082128b2f33",
        b"true",
        b"%00&=;+",
    ],
    "cursor": [
        b'["2026-03-02T09:14:03.412907Z", "019cadd3-7914-7a6a-8d23-f082128b2f33"]',
        b"[7]",
        pagination._write_cursor(_LISTING, [7]).encode(),
    ],
    "json_body": [
        b'{"role": "user", "content": "Hello", "metadata": {"a": [1, -1.5e9, null, "\\u00fc"]}}',
        b'{"a": "\\ud83d\\ude00 \\u0000", "b": 18446744073709551616}',
        b"[" * 120 + b"]" * 120,
    ],
}
