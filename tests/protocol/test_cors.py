"""Web pages, applications and browser extensions of the configured origins may call the API."""

import httpx
import pytest

from agent_api.settings import ConfigError, Settings
from tests.contract import OPERATIONS, assert_problem
from tests.protocol.cases import APP_ORIGINS, ORIGIN
from tests.servers import Server


def test_cors_is_off_by_default(owner: httpx.Client) -> None:
    simple = owner.get("/conversations", headers={"Origin": ORIGIN})
    preflight = owner.options("/conversations", headers=PREFLIGHT)

    assert_problem(preflight, 405)
    for response in (simple, preflight):
        assert not [name for name in response.headers if name.startswith("access-control-")]


PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": (
        "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id"
    ),
}


def test_configured_origin_is_allowed(small_server: Server) -> None:
    with small_server.client("browser") as client:
        preflight = client.options("/conversations", headers=PREFLIGHT)
        simple = client.get("/conversations", headers={"Origin": ORIGIN})
        refused = client.get("/conversations", headers={"Origin": ORIGIN, "Authorization": "x"})
        unknown = client.get("/nothing", headers={"Origin": ORIGIN})

    assert preflight.status_code == 200
    assert preflight.headers["x-request-id"]
    allowed = preflight.headers["access-control-allow-methods"].split(", ")
    assert {operation.method for operation in OPERATIONS} <= set(allowed)
    assert simple.status_code == 200
    assert_problem(refused, 401)
    assert_problem(unknown, 404)
    for response in (preflight, simple, refused, unknown):
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in response.headers
    exposed = simple.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Location", "X-Request-Id", "WWW-Authenticate", "Retry-After"} <= set(exposed)


def test_every_header_parameter_of_the_contract_may_be_sent(small_server: Server) -> None:
    parameters = [part for operation in OPERATIONS for part in operation.parameters]
    names = {part["name"] for part in parameters if part["in"] == "header"}

    with small_server.client("browser") as client:
        asked = {"Access-Control-Request-Headers": ", ".join(sorted(names)).lower()}
        preflight = client.options("/conversations", headers=PREFLIGHT | asked)

    assert preflight.status_code == 200, preflight.text


@pytest.mark.parametrize("origin", APP_ORIGINS)
def test_configured_origin_of_an_application_is_allowed(origin: str, small_server: Server) -> None:
    with small_server.client("browser") as client:
        preflight = client.options("/conversations", headers=PREFLIGHT | {"Origin": origin})
        simple = client.get("/conversations", headers={"Origin": origin})

    assert (preflight.status_code, simple.status_code) == (200, 200)
    for response in (preflight, simple):
        assert response.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin",
    [
        "https://elsewhere.example.org",
        "tauri://localhost.example.org",
        "http://localhost",
        "tauri://localhost/",
        "moz-extension://7f1d1f5e-0000-4a6f-8d6d-0f6a2d6f7c11",
        "null",
        "file://",
    ],
)
def test_any_other_origin_is_refused(origin: str, small_server: Server) -> None:
    with small_server.client("browser") as client:
        other = {"Origin": origin}
        preflight = client.options("/conversations", headers=PREFLIGHT | other)
        simple = client.get("/conversations", headers=other)

    assert preflight.status_code == 400
    for response in (preflight, simple):
        assert "access-control-allow-origin" not in response.headers


# The setting


def configured(value: str) -> tuple[str, ...]:
    return Settings.load({"AGENT_API_CORS_ORIGINS": value}).cors_origins


def test_origins_of_applications_are_kept_as_browsers_send_them() -> None:
    assert configured(", ".join(APP_ORIGINS)) == APP_ORIGINS
    assert configured("Tauri://localhost/, app://Notes:1") == ("tauri://localhost", "app://Notes:1")


@pytest.mark.parametrize(
    "value",
    [
        *("wss://a.example.org", "ws://a", "file://", "tauri:localhost", "1app://localhost"),
        *("tauri://", "tauri://localhost/path", "tauri://localhost?query", "tauri://localhost#a"),
        *("tauri://user@localhost", "tauri://localhost:65536", "app://a\\b", "app://a b"),
        *("tauri://*", "chrome-extension://*", "app://ü", "tauri://localhost, *"),
    ],
)
def test_value_that_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="AGENT_API_CORS_ORIGINS must"):
        configured(value)


@pytest.mark.parametrize("value", ["null", "https://a.example.org, null"])
def test_null_is_refused_with_what_to_write(value: str) -> None:
    """A sandboxed frame of any site sends it, so it would allow everybody."""
    with pytest.raises(ConfigError, match="which any page can send: list the origins, or set"):
        configured(value)
