"""The attacks with forged tokens: each token differs in one point from a valid one.

`ATTACKS` maps the name of an attack to a function that returns the request's headers.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from tests.forging import AUDIENCE, ISSUER, Headers, Provider, bearer, encoded

ODD_TIMES: list[object] = ["", "soon", "0x7fffffff", [], {}, True, False, 0, -1, float("nan")]
LATE_TIMES: list[object] = ["later", [], 2**63, float("inf")]


def soon(seconds: float) -> float:
    """Return the time in `seconds` as a numeric date."""
    return int(time.time()) + seconds


def der_of(provider: Provider) -> bytes:
    """Return the public key in the DER format."""
    lines = provider.rsa.pem.decode().splitlines()[1:-1]
    return base64.b64decode("".join(lines))


Attack = Callable[[Provider], Headers]
"""Returns the headers of a request with a forged token."""


def own_key(provider: Provider) -> dict[str, Any]:
    """Return the attacker's own key as a JWK that a token can contain."""
    return provider.stranger.jwk


def unsigned(algorithm: object) -> Attack:
    return lambda provider: provider.unsigned(algorithm)


def with_claims(**claims: object) -> Attack:
    return lambda provider: provider.with_claims(**claims)


def with_head(**parameters: object) -> Attack:
    return lambda provider: provider.with_head(**parameters)


ATTACKS: dict[str, Attack] = {
    # The algorithm
    **{
        f"alg {algorithm!r}": unsigned(algorithm)
        for algorithm in ("none", "None", "NONE", "nOnE", "none ", " none", "n\u043ene", "", None)
    },
    **{
        f"alg of type {type(algorithm).__name__}": unsigned(algorithm)
        for algorithm in (True, 0, 1.5, ["RS256"], {"RS256": 1})
    },
    "alg none with a signature": lambda p: p.unsigned("none", encoded(b"signature")),
    "alg none with a good token's signature": lambda p: p.unsigned(
        "none", p.signed().rpartition(".")[2].encode()
    ),
    "no alg": lambda p: bearer(p.signed(head=json.dumps({"kid": "rsa"}).encode())),
    "alg in another case": lambda p: p.with_head(alg="rs256"),
    "an algorithm of another kind of key": lambda p: p.with_head(alg="ES256"),
    "an algorithm that is not offered": lambda p: p.with_head(alg="PS256"),
    "alg twice, the last one none": lambda p: bearer(
        p.signed(head=b'{"alg": "RS256", "kid": "rsa", "alg": "none"}')
    ),
    "HS256 with the public key in PEM": lambda p: p.by_secret(p.rsa.pem),
    "HS256 with the public key in PEM, without its last newline": lambda p: p.by_secret(
        p.rsa.pem.rstrip()
    ),
    "HS256 with the public key in DER": lambda p: p.by_secret(der_of(p)),
    "HS256 with the public key as JWK": lambda p: p.by_secret(json.dumps(p.rsa.jwk).encode()),
    "HS384 with the public key in PEM": lambda p: p.by_secret(p.rsa.pem, "HS384"),
    "HS512 with the public key in PEM": lambda p: p.by_secret(p.rsa.pem, "HS512"),
    "HS256 with no secret": lambda p: p.by_secret(b""),
    # The signature
    "another's key": lambda p: bearer(p.signed(key=p.stranger)),
    "one key under the id of another": lambda p: bearer(
        p.signed(key=p.curve, head={"kid": "edwards"})
    ),
    "no signature": lambda p: p.with_signature(lambda _: b""),
    "no signature and no dot before it": lambda p: bearer(p.signed().rpartition(".")[0]),
    "one bit of the signature changed": lambda p: p.with_signature(
        lambda raw: bytes([raw[0] ^ 1]) + raw[1:]
    ),
    "the last bit of the signature changed": lambda p: p.with_signature(
        lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])
    ),
    "a signature cut short": lambda p: p.with_signature(lambda raw: raw[:-1]),
    "a longer signature": lambda p: p.with_signature(lambda raw: raw + b"\0"),
    "a signature of zeros": lambda p: p.with_signature(lambda raw: bytes(len(raw))),
    "an ES256 signature of zeros (CVE-2022-21449)": lambda p: bearer(
        p.signed(key=p.curve).rpartition(".")[0].encode() + b"." + encoded(bytes(64))
    ),
    "another user's claims": lambda p: p.swapped(),
    "claims in another order under the signature": lambda p: bearer(
        ".".join(
            [
                p.signed().split(".")[0],
                encoded(dict(reversed(p.claims().items()))).decode(),
                p.signed().split(".")[2],
            ]
        )
    ),
    # Times
    "expired": lambda p: p.with_claims(exp=soon(-60)),
    "expired just beyond the leeway": lambda p: p.with_claims(exp=soon(-6)),
    "not yet valid": lambda p: p.with_claims(nbf=soon(60)),
    "no exp": lambda p: p.with_claims(exp=None),
    "exp null": lambda p: bearer(p.signed(p.claims() | {"exp": None})),
    "exp of 5,000 digits": lambda p: bearer(
        p.signed(json.dumps(p.claims()).encode()[:-1] + b', "exp": ' + b"9" * 5000 + b"}")
    ),
    "exp too large for a double": lambda p: bearer(
        p.signed(json.dumps(p.claims()).encode()[:-1] + b', "exp": 1e999}')
    ),
    **{f"exp {value!r}": with_claims(exp=value) for value in ODD_TIMES},
    **{f"nbf {value!r}": with_claims(nbf=value) for value in LATE_TIMES},
    # The user
    "no sub": lambda p: p.with_claims(sub=None),
    "sub null": lambda p: bearer(p.signed(p.claims() | {"sub": None})),
    **{
        f"sub {str(value)[:12]!a} of type {type(value).__name__}": with_claims(sub=value)
        for value in (
            *("", "a" * 256, "\0", "alice\0", "alice\n", "\x7f", "\x9f", "\ud800"),
            *(7, True, ["alice"], {"alice": 1}, 1.5),
        )
    },
    # Issuer and audience
    **{
        f"iss {value!r}": with_claims(iss=value)
        for value in (
            *(None, "", "https://id.example.net", ISSUER + "/", ISSUER.upper(), " " + ISSUER),
            *([ISSUER], {ISSUER: 1}, True),
        )
    },
    **{
        f"aud {value!r}": with_claims(aud=value)
        for value in (
            *(None, "", "agent", "agent-api-2", "Agent-API", "agent-api other", "*"),
            *([], ["other"], ["agent", "api"], [AUDIENCE, 7], [[AUDIENCE]], {AUDIENCE: 1}, 7, True),
        )
    },
    # The token's header
    "a known parameter declared critical": lambda p: p.with_head(crit=["exp"], exp=1),
    "a critical header that is not there": lambda p: p.with_head(crit=["unknown"]),
    "crit that is empty": lambda p: p.with_head(crit=[]),
    "crit that is text": lambda p: p.with_head(crit="b64"),
    "crit that is null": lambda p: p.with_head(crit=None),
    "b64 false": lambda p: p.with_head(b64=False, crit=["b64"]),
    "no kid, by another's key": lambda p: bearer(
        p.signed(key=p.stranger, head=b'{"alg": "RS256"}')
    ),
    **{
        f"kid {value!r}": with_head(kid=value)
        for value in (
            *("unknown", "", "RSA", "rsa ", "../../../../dev/null", "/dev/null", "rsa\0"),
            *(
                "' OR 1=1 --",
                "rsa' UNION SELECT 'secret",
                "| sleep 9",
                "http://127.0.0.1/",
                "\ud800",
            ),
            *(None, 0, True, ["rsa"], {"rsa": 1}),
        )
    },
    "jku that points elsewhere": lambda p: bearer(
        p.signed(key=p.stranger, head={"jku": p.elsewhere})
    ),
    "jku that points elsewhere, and an unknown kid": lambda p: bearer(
        p.signed(key=p.stranger, head={"jku": p.elsewhere, "kid": "theirs"})
    ),
    "x5u that points elsewhere": lambda p: bearer(
        p.signed(key=p.stranger, head={"x5u": p.elsewhere})
    ),
    "a kid that is a URL elsewhere": lambda p: bearer(
        p.signed(key=p.stranger, head={"kid": p.elsewhere})
    ),
    "a key of its own, as jwk": lambda p: bearer(
        p.signed(key=p.stranger, head={"jwk": own_key(p)})
    ),
    "a key of its own, as jwk, without a kid": lambda p: bearer(
        p.signed(key=p.stranger, head=json.dumps({"alg": "RS256", "jwk": own_key(p)}).encode())
    ),
    "a certificate of its own, as x5c": lambda p: bearer(
        p.signed(key=p.stranger, head={"x5c": [base64.b64encode(der_of(p)).decode()]})
    ),
    "a header that is an array": lambda p: bearer(p.signed(head=b'["RS256"]')),
    "a header that is null": lambda p: bearer(p.signed(head=b"null")),
    "a header that is no JSON": lambda p: bearer(p.signed(head=b"\x80abc")),
    "a header that is nested 2,000 deep": lambda p: bearer(
        p.signed(head=b'{"alg": "RS256", "kid": ' + b"[" * 2000 + b"]" * 2000 + b"}")
    ),
    # The claims' shape
    "claims that are an array": lambda p: bearer(p.signed([p.claims()])),
    "claims that are a number": lambda p: bearer(p.signed(1)),
    "claims that are no JSON": lambda p: bearer(p.signed(b"\xff\xfe{}")),
    "claims that are nothing": lambda p: bearer(p.signed(b"")),
    "claims that are another token (RFC 7519 section 5.2)": lambda p: bearer(
        p.signed(p.signed().encode(), head={"cty": "JWT"})
    ),
    "claims that are nested 2,000 deep": lambda p: bearer(
        p.signed(b'{"sub": ' + b"[" * 2000 + b"]" * 2000 + b"}")
    ),
    # The text
    "two dots": lambda _: bearer(".."),
    "a word": lambda _: bearer("null"),
    "four parts": lambda p: bearer(p.signed() + ".more"),
    "five parts, as an encrypted token has": lambda p: bearer(p.signed() + "..more"),
    "a space inside": lambda p: bearer(p.signed().replace(".", ". ", 1)),
    "a tab inside": lambda p: bearer(p.signed().replace(".", "\t.", 1)),
    "two tokens": lambda p: bearer(p.signed() + " " + p.signed()),
    "two tokens with a comma": lambda p: bearer(p.signed() + "," + p.signed()),
    "quotes": lambda p: bearer(f'"{p.signed()}"'),
    "not ASCII": lambda p: bearer(p.signed().encode() + "é".encode()),
    "bytes that are no UTF-8": lambda p: bearer(b"\xff\xfe." + p.signed().encode()),
    "base64 with + and /": lambda p: bearer(p.signed().replace(".", "+/.", 1)),
    "a wrong amount of padding": lambda p: bearer(p.signed() + "====="),
    "JSON in the place of a token": lambda p: bearer(json.dumps(p.claims())),
    "longer than headers may be": lambda p: p.with_claims(padding="p" * 50_000),
    # The request's header
    "no header": lambda _: [],
    "an empty header": lambda _: [(b"Authorization", b"")],
    "the scheme alone": lambda _: [(b"Authorization", b"Bearer")],
    "no scheme": lambda p: [(b"Authorization", p.signed().encode())],
    "another scheme": lambda p: [(b"Authorization", b"Basic " + p.signed().encode())],
    "no space after the scheme": lambda p: [(b"Authorization", b"Bearer:" + p.signed().encode())],
    "the scheme twice": lambda p: bearer("Bearer " + p.signed()),
    "two headers with one token": lambda p: bearer(p.signed()) * 2,
    "two headers, the first one good": lambda p: bearer(p.signed()) + bearer("nonsense"),
    "two headers, the last one good": lambda p: bearer("nonsense") + bearer(p.signed()),
    "in a header of another name": lambda p: [(b"X-Authorization", bearer(p.signed())[0][1])],
    "in the proxy's header": lambda p: [(b"Proxy-Authorization", bearer(p.signed())[0][1])],
    "in a cookie": lambda p: [(b"Cookie", b"access_token=" + p.signed().encode())],
}
