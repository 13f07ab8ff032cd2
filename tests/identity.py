"""An identity provider for tests: key pairs, signed tokens, and a server of public keys."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests import log_watch

Fault = Callable[[BaseHTTPRequestHandler], None]
"""What a provider does instead of sending its keys."""
ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""One algorithm of each kind of key."""
PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
_CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


def new_private_key(algorithm: str) -> PrivateKey:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class KeyPair:
    """A key pair that signs tokens with `key_id` in their header."""

    algorithm: str
    key_id: str = "first"
    private: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        self.private = new_private_key(self.algorithm)

    @property
    def pem(self) -> bytes:
        """Return the public key in the PEM format."""
        return self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK (RFC 7517)."""
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        public: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return public | {"kid": self.key_id, "alg": self.algorithm, "use": "sig"}

    def jwk_without(self, *members: str) -> dict[str, Any]:
        """Return the JWK without these members, which are optional."""
        return {name: value for name, value in self.jwk.items() if name not in members}

    def sign(self, user_id: str, **claims: object) -> str:
        body = {"sub": user_id, "exp": int(time.time()) + 3600} | claims
        token = jwt.encode(body, self.private, self.algorithm, headers={"kid": self.key_id})
        log_watch.token(token)
        return token


def answering(body: bytes, status: int = 200, **headers: str) -> Fault:
    """Return a fault that sends a response instead of the key set."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


class KeyServer:
    """Serves a key set on 127.0.0.1 until it is closed or its block ends."""

    def __init__(self, *keys: KeyPair, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.keys = list(keys)
        self.fetched = 0
        self.headers: dict[str, str] = {}
        """The headers of the last request, with lower-case names."""
        self.fault: Fault | None = None
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetched += 1
                provider.headers = {name.lower(): value for name, value in self.headers.items()}
                if provider.fault is not None:
                    provider.fault(self)
                    return
                body = json.dumps({"keys": [key.jwk for key in provider.keys]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
                """Write nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening; closing twice is harmless."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __enter__(self) -> "KeyServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
