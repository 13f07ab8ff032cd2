"""Reading and saving chat settings over HTTP: defaults first, then what was saved."""

from typing import Any

import httpx
import pytest

from tests.calls import TIME, Json, read, refusals, short
from tests.contract import CONTRACT

PATH = "/users/me/chat-settings"
AGENT = "019bb138-1000-71fb-ba17-0b3339263059"
DEFAULTS: Json = {
    "enabled_tools": [],
    "enabled_agents": [],
    "model": None,
    "temperature": 0.7,
    "max_tokens": 2000,
}
OTHERS: Json = {
    "enabled_tools": ["document_search", "calculator"],
    "enabled_agents": [AGENT],
    "model": "llama-3.3-70b",
    "temperature": 0.2,
    "max_tokens": 4000,
}


def save(client: httpx.Client, **body: Any) -> Json:
    response = client.put(PATH, json=body)
    assert response.status_code == 200, response.text
    result: Json = response.json()
    return result


def chosen(settings: Json) -> Json:
    """Return the properties that the user chooses, without id, user and times."""
    return {name: settings[name] for name in DEFAULTS}


def test_get_chat_settings_returns_unsaved_defaults(alice: httpx.Client) -> None:
    first = read(alice, PATH)
    second = read(alice, PATH)

    assert chosen(first) == DEFAULTS
    assert first.keys() == CONTRACT["components"]["schemas"]["ChatSettings"]["properties"].keys()
    assert first["user_id"].startswith("alice-")
    assert (first["id"], first["created_at"], first["updated_at"]) == (None, None, None)
    assert second == first


def test_update_chat_settings_saves_every_setting(alice: httpx.Client) -> None:
    saved = save(alice, **OTHERS)

    assert chosen(saved) == OTHERS
    assert saved["id"] is not None
    assert TIME.fullmatch(saved["created_at"])
    assert saved["updated_at"] == saved["created_at"]
    assert read(alice, PATH) == saved


@pytest.mark.parametrize("name", OTHERS)
def test_update_chat_settings_of_a_new_user_adds_the_defaults(
    alice: httpx.Client, name: str
) -> None:
    saved = save(alice, **{name: OTHERS[name]})

    assert chosen(saved) == DEFAULTS | {name: OTHERS[name]}


@pytest.mark.parametrize("body", [{}, dict.fromkeys(DEFAULTS), {"theme": "dark"}])
def test_update_chat_settings_of_a_new_user_saves_the_defaults(
    alice: httpx.Client, body: Json
) -> None:
    saved = save(alice, **body)

    assert chosen(saved) == DEFAULTS
    assert saved["id"] is not None
    assert read(alice, PATH) == saved


@pytest.mark.parametrize("name", OTHERS)
def test_update_chat_settings_changes_only_the_given_properties(
    alice: httpx.Client, name: str
) -> None:
    first = save(alice)

    second = save(alice, **{name: OTHERS[name]})

    assert second == first | {name: OTHERS[name], "updated_at": second["updated_at"]}
    assert second["updated_at"] > first["updated_at"]


@pytest.mark.parametrize("name", OTHERS)
def test_update_chat_settings_resets_null_to_its_default(alice: httpx.Client, name: str) -> None:
    first = save(alice, **OTHERS)

    second = save(alice, **{name: None})

    assert second == first | {name: DEFAULTS[name], "updated_at": second["updated_at"]}


def test_update_chat_settings_ignores_absent_and_unknown_properties(alice: httpx.Client) -> None:
    first = save(alice, **OTHERS)

    second = save(alice, id=AGENT, user_id="bob", created_at=None, theme="dark")

    assert second == first | {"updated_at": second["updated_at"]}


def test_update_chat_settings_stores_any_value(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    cases: list[Json] = [
        {"enabled_tools": ["z", "a", "z"]},
        {"enabled_tools": ["🔧", "أداة", "t" * 255, "🚀" * 255, '"{},\\', "NULL", " "]},
        {"enabled_tools": [f"tool {number}" for number in range(1000)]},
        {"enabled_agents": [AGENT, "00000000-0000-0000-0000-000000000000", AGENT]},
        {"enabled_agents": [f"019bb138-1000-71fb-ba17-{number:012x}" for number in range(1000)]},
        {"model": "x" * 255},
        {"model": "🚀" * 255},
        {"model": "null"},
        {"temperature": 0},
        {"temperature": 2},
        {"temperature": 0.1 + 0.2},
        {"temperature": 1e-17},
        {"max_tokens": 1},
        {"max_tokens": 32_000},
    ]
    for settings in cases:
        with subtests.test(short(settings)):
            saved = save(alice, **(dict.fromkeys(DEFAULTS) | settings))
            assert chosen(saved) == DEFAULTS | settings
            assert read(alice, PATH) == saved


def test_update_chat_settings_stores_agent_ids_in_lowercase(alice: httpx.Client) -> None:
    assert save(alice, enabled_agents=[AGENT.upper()])["enabled_agents"] == [AGENT]


def test_update_chat_settings_rejects_wrong_values(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    cases: list[tuple[Json, str]] = [
        ({"enabled_tools": "calculator"}, "/enabled_tools"),
        ({"enabled_tools": ["calculator", None]}, "/enabled_tools/1"),
        ({"enabled_tools": [""]}, "/enabled_tools/0"),
        ({"enabled_tools": ["t" * 256]}, "/enabled_tools/0"),
        ({"enabled_tools": ["t"] * 1001}, "/enabled_tools"),
        ({"enabled_agents": {}}, "/enabled_agents"),
        ({"enabled_agents": ["document-agent"]}, "/enabled_agents/0"),
        ({"enabled_agents": [AGENT, None]}, "/enabled_agents/1"),
        ({"enabled_agents": [AGENT] * 1001}, "/enabled_agents"),
        ({"model": ""}, "/model"),
        ({"model": "x" * 256}, "/model"),
        ({"model": 4}, "/model"),
        ({"temperature": -0.001}, "/temperature"),
        ({"temperature": 2.001}, "/temperature"),
        ({"temperature": "0.5"}, "/temperature"),
        ({"temperature": True}, "/temperature"),
        ({"max_tokens": 0}, "/max_tokens"),
        ({"max_tokens": 32_001}, "/max_tokens"),
        ({"max_tokens": 10.5}, "/max_tokens"),
        ({"max_tokens": "100"}, "/max_tokens"),
        ({"max_tokens": False}, "/max_tokens"),
    ]
    for body, pointer in cases:
        with subtests.test(short(body)):
            response = alice.put(PATH, json=OTHERS | body)
            assert ("body", pointer) in refusals(response)

    assert read(alice, PATH)["id"] is None


def test_update_chat_settings_accepts_an_integer_with_an_exponent(
    alice: httpx.Client,
) -> None:
    response = alice.put(
        PATH, content=b'{"max_tokens": 1e3}', headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 200, response.text
    assert response.json()["max_tokens"] == 1000


def test_get_chat_settings_shows_only_the_users_own(alice: httpx.Client, bob: httpx.Client) -> None:
    saved = save(alice, **OTHERS)

    assert read(bob, PATH)["id"] is None
    theirs = save(bob, temperature=1.5)
    assert chosen(theirs) == DEFAULTS | {"temperature": 1.5}
    assert theirs["id"] != saved["id"]
    assert read(alice, PATH) == saved
