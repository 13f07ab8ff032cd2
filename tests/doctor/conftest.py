"""A user who is not a superuser, and PgBouncer."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from db.engine import roles
from tests.doctor.examining import execute
from tests.processes import wait_until
from tests.programs import installed
from tests.servers import free_port

NewPgbouncer = Callable[..., AbstractContextManager[str]]
IGNORED = "ignore_startup_parameters = extra_float_digits,options"


@pytest.fixture
def owner_url(database_url: str) -> Iterator[str]:
    """A URL of the migrated database, with a user who can act as the roles of requests."""
    name = f"owner_{uuid.uuid4().hex}"
    execute(
        database_url,
        f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'",
        f"GRANT {', '.join(roles.ALL)} TO {name}",
        f"GRANT SELECT ON alembic_version TO {name}",
        f"ALTER ROLE {name} SET jit = off",
    )
    url = make_url(database_url).set(username=name, password="hunter2")
    yield url.render_as_string(hide_password=False)
    execute(database_url, f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def new_pgbouncer(admin_url: str) -> NewPgbouncer:
    """A function that starts PgBouncer with a mode and more settings, and yields its URL."""
    pgbouncer = installed("pgbouncer", "apt-get install pgbouncer")

    @contextmanager
    def start(url: str, mode: str, *lines: str) -> Iterator[str]:
        with closing(psycopg2.connect(admin_url)) as connection:
            host, port = connection.info.host, connection.info.port
        socket = Path(host, f".s.PGSQL.{port}")
        account = socket.stat() if socket.exists() else Path("/").stat()
        folder = Path(tempfile.mkdtemp(prefix="agent-api-pgbouncer-"))
        listens = free_port()
        (folder / "users.txt").write_text(f'"{make_url(url).username}" ""\n')
        (folder / "pgbouncer.ini").write_text(
            "\n".join(
                [
                    "[databases]",
                    f"* = host={host} port={port}",
                    "[pgbouncer]",
                    f"pool_mode = {mode}",
                    "listen_addr = 127.0.0.1",
                    f"listen_port = {listens}",
                    "unix_socket_dir =",
                    "auth_type = trust",
                    f"auth_file = {folder / 'users.txt'}",
                    *lines,
                ]
            )
        )
        os.chown(folder, account.st_uid, account.st_gid)
        as_root = ["-u", pwd.getpwuid(account.st_uid).pw_name] if os.geteuid() == 0 else []
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [pgbouncer, *as_root, str(folder / "pgbouncer.ini")], stderr=log
            )
        there = make_url(url).set(host="127.0.0.1", port=listens, query={})
        try:
            wait_until(lambda: b"process up" in (folder / "log").read_bytes())
            yield there.render_as_string(hide_password=False)
        finally:
            process.kill()
            process.wait(10)
            shutil.rmtree(folder)

    return start
