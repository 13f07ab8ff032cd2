"""The command line: arguments, help, tokens and demo data. Each command is a real process."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.commands import Result, refusal
from tests.servers import (
    SECRET,
    Server,
    agent_api,
)

pytestmark = pytest.mark.process

COMMANDS = {
    "serve": ["--host", "--port", "--workers", "--reload", "--echo"],
    "mock": ["--host", "--port"],
    "migrate": ["--check"],
    "index": [],
    "distribute": ["--check"],
    "token": ["--user", "--expires-in", "--scope"],
    "worker": ["--echo", "--agent", "--url", "--token"],
    "doctor": ["--json", "--host", "--workers"],
    "demo": ["--user"],
    "psql": ["--url"],
    "routes": [],
    "version": [],
}


@pytest.mark.parametrize("host", ["", " "])
@pytest.mark.parametrize("name", ["serve", "mock"])
def test_empty_host_is_refused_with_the_name_of_the_option(
    name: str, host: str, tmp_path: Path
) -> None:
    line = refusal(agent_api(name, "--host", host, data_dir=str(tmp_path)))

    assert "--host" in line
    assert "AGENT_API_HOST" not in line


def test_host_open_to_other_machines_is_refused_with_the_name_of_the_option(tmp_path: Path) -> None:
    line = refusal(agent_api("serve", "--host", "0.0.0.0", data_dir=str(tmp_path)))

    assert "--host 0.0.0.0 is open to other machines" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--reload", "--workers", "2"],
        ["serve", "--port", "0"],
        ["migrate", "--to", "0001"],
        ["token"],
        ["token", "--user", ""],
        ["conquer"],
        ["--colour"],
    ],
    ids=" ".join,
)
def test_invalid_arguments_are_refused_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    refusal(agent_api(*arguments, data_dir=str(tmp_path)))


def claims_of(result: Result) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    claims: dict[str, Any] = jwt.decode(
        result.stdout.strip(), SECRET, algorithms=["HS256"], options={"verify_aud": False}
    )
    return claims


def test_token_is_valid_for_eight_hours_and_has_no_other_claims() -> None:
    started = int(time.time())

    claims = claims_of(agent_api("token", "--user", "maria.keller", jwt_secret=SECRET))

    assert claims.keys() == {"sub", "iat", "exp"}
    assert claims["sub"] == "maria.keller"
    assert started <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == 8 * 3600


def test_token_has_the_scopes_issuer_and_audience() -> None:
    result = agent_api(
        *("token", "--user", "maria", "--scope", "read", "--scope", "write"),
        jwt_secret=SECRET,
        jwt_issuer="https://id.example.org",
        jwt_audience="agent-api",
    )

    claims = claims_of(result)
    assert claims["scope"] == "read write"
    assert (claims["iss"], claims["aud"]) == ("https://id.example.org", "agent-api")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("7d", 604800)])
def test_token_is_valid_for_the_given_duration(text: str, seconds: int) -> None:
    result = agent_api("token", "--user", "maria", "--expires-in", text, jwt_secret=SECRET)

    claims = claims_of(result)
    assert claims["exp"] - claims["iat"] == seconds


@pytest.mark.parametrize("text", ["8", "0h", "4000d"])
def test_token_with_an_invalid_duration_is_refused(text: str) -> None:
    result = agent_api("token", "--user", "maria", "--expires-in", text, jwt_secret=SECRET)

    assert "not a duration: write 90s, 30m, 8h or 7d" in refusal(result)


def test_unknown_command_names_the_help() -> None:
    assert refusal(agent_api("prune")).endswith("No such command 'prune'. See: agent-api --help")


def test_token_is_refused_if_an_identity_provider_is_configured() -> None:
    keys_at = "https://id.example.org/jwks"

    line = refusal(agent_api("token", "--user", "maria", jwt_jwks_url=keys_at))

    assert "identity provider" in line


def test_demo_adds_thirteen_conversations_each_time(
    server: Server, database_url: str, new_client: Callable[..., httpx.Client], tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path), "jwt_secret": SECRET}
    user_id = f"maria-{os.urandom(4).hex()}"
    maria = new_client(user_id)

    first = agent_api("demo", "--user", user_id, **settings)
    page = maria.get("/conversations?archived=all").json()
    agent_api("demo", "--user", user_id, **settings)
    more = maria.get("/conversations?archived=all").json()

    assert first.returncode == 0, first.stderr
    messages = sum(
        maria.get(f"/conversations/{each['id']}/messages?branches=all").json()["total"]
        for each in page["conversations"]
    )
    runs = maria.get("/runs").json()["total"] // 2
    assert first.stdout == (
        f"{user_id} has 13 new conversations, {messages} messages, {runs} runs.\n"
    )
    assert (page["total"], more["total"]) == (13, 26)
    assert len({conversation["title"] for conversation in page["conversations"]}) == 13
    (shared,) = maria.get("/conversations", params={"shared": True}).json()["conversations"][1:]
    assert (shared["role"], shared["shared_by"]) == ("editor", f"colleague-of-{user_id}")
    colleague = new_client(f"colleague-of-{user_id}")
    of_maria = colleague.get("/conversations", params={"shared": True}).json()["conversations"]
    assert {(each["role"], each["shared_by"]) for each in of_maria} == {("viewer", user_id)}
    shown = [
        message
        for conversation in page["conversations"]
        for message in maria.get(f"/conversations/{conversation['id']}").json()["messages"]
    ]
    assert [message["version"] for message in shown if message["edited_at"]] == [2]
    assert len([message for message in shown if message["parts"]]) == 1
    files = maria.get("/chat-attachments").json()
    assert files["total"] == 2 * 2
    assert {file["message_id"] is None for file in files["chat_attachments"]} == {False}
    assert {
        name: sum(bool(conversation[name]) for conversation in page["conversations"])
        for name in ("archived", "pinned", "tags", "unread_count")
    } == {"archived": 1, "pinned": 1, "tags": 3, "unread_count": 3}
    found = [maria.get(f"/conversations/{each['id']}").json() for each in page["conversations"]]
    given = [message["feedback"] for each in found for message in each["messages"]]
    assert sorted(feedback["rating"] for feedback in given if feedback) == ["down", "up"]


@pytest.mark.slow
def test_demo_creates_the_embedded_database(data_dir: Path) -> None:
    result = agent_api("demo", data_dir=str(data_dir))

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("demo has 13 new conversations")
    assert "Traceback" not in result.stderr


def test_version_prints_one_line() -> None:
    said = agent_api("version").stdout

    assert re.fullmatch(r"agent-api \d\S*\n", said)
    assert agent_api("--version").stdout == said


def test_token_reports_where_it_created_a_secret(tmp_path: Path) -> None:
    first, second = (agent_api("token", "--user", "a", data_dir=str(tmp_path)) for _ in range(2))

    path = tmp_path / "jwt-secret"
    assert first.stderr == (
        f"Created a secret in {path}. Only servers with this data folder know it.\n"
    )
    assert second.stderr == ""


def test_help_lists_the_commands() -> None:
    result = agent_api("--help")

    assert (result.returncode, result.stderr) == (0, "")
    assert re.findall(r"^  (\w+)  +\w", result.stdout, re.MULTILINE) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_each_option(name: str) -> None:
    result = agent_api(name, "-h")

    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(
        r"\n\n  [A-Z][^.]+\.\n", result.stdout
    )  # one sentence that describes the command
    explained = re.findall(r"^  (?:-h, )?(--[a-z-]+).*  +[A-Z0-9]", result.stdout, re.MULTILINE)
    assert sorted(explained) == sorted([*COMMANDS[name], "--help"])
