"""Only AGENT_API_ variables matter: those that libpq and PostgreSQL read have no effect."""

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2._psycopg
import pytest

import migrations
from db import schema
from tests.commands import Result, refusal
from tests.failover.postgres import Postgres, new_servers
from tests.servers import clean_environment, command, start_server

pytestmark = pytest.mark.process

NOT_LISTED = (
    # libpq reads these itself, or only newer releases list them.
    *("PGDATESTYLE", "PGGEQO", "PGREQUIRESSL", "PGSERVICEFILE", "PGSYSCONFDIR", "PGTZ"),
    *("PGMAXPROTOCOLVERSION", "PGMINPROTOCOLVERSION", "PGOAUTHDEBUG"),
    # PostgreSQL's programs
    *("PGDATA", "PG_COLOR"),
)


class Option(ctypes.Structure):
    """PQconninfoOption of libpq-fe.h."""

    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label")),
        ("dispchar", ctypes.c_char_p),
        ("dispsize", ctypes.c_int),
    )


def libpq_variables() -> list[str]:
    """Return the variables that psycopg2's libpq uses as default values of its parameters."""
    libpq = ctypes.CDLL(psycopg2._psycopg.__file__)
    libpq.PQconndefaults.restype = ctypes.POINTER(Option)
    names: list[str] = []
    for option in libpq.PQconndefaults():
        if option.keyword is None:
            return names
        if option.envvar is not None:
            names.append(option.envvar.decode())
    raise AssertionError("the list has no end")


VARIABLES = sorted({*libpq_variables(), *NOT_LISTED})


def run(*arguments: str, environment: dict[str, str], **settings: str) -> Result:
    return subprocess.run(
        command(*arguments),
        env=clean_environment(**settings) | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_libpq_lists_its_variables() -> None:
    assert {"PGSERVICE", "PGOPTIONS", "PGSSLNEGOTIATION", "PGLOADBALANCEHOSTS"} < set(VARIABLES)


@pytest.mark.smoke
def test_external_database_is_reached_as_its_url_says(database_url: str) -> None:
    result = run(
        *("migrate", "--check"),
        environment=dict.fromkeys(VARIABLES, "nonsense"),
        database_url=database_url,
    )

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_embedded_server_starts_with_any_variable(data_dir: Path) -> None:
    wrong = {
        name: result.stderr
        for name in VARIABLES
        if (
            result := run("migrate", environment={name: "nonsense"}, data_dir=str(data_dir))
        ).returncode
    }

    assert wrong == {}


@pytest.mark.slow
def test_embedded_server_is_ready_whatever_files_libpq_finds(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = tmp_path / ".postgresql"
    certificates.mkdir()
    for path in (
        *(tmp_path / name for name in (".pgpass", ".pg_service.conf")),
        *(certificates / name for name in ("root.crt", "root.crl", "postgresql.crt")),
    ):
        path.write_text("nonsense")
        path.chmod(0o600)
    for name, value in {"HOME": str(tmp_path), **dict.fromkeys(VARIABLES, "nonsense")}.items():
        monkeypatch.setenv(name, value)

    with start_server(None, data_dir) as server:
        shell = run("psql", "-AtXc", "SELECT current_user", environment={}, data_dir=str(data_dir))
        with server.client("alice") as alice:
            made = alice.post("/conversations", json={})

    assert (shell.stdout, shell.stderr) == ("postgres\n", "")
    assert made.status_code == 201


@pytest.fixture(scope="module")
def protected() -> Iterator[Postgres]:
    """A server that asks the user `app` for the password `sesame`."""
    with new_servers([]) as (server,):
        (server.data / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all app 127.0.0.1/32 scram-sha-256\n"
        )
        server.start()
        server.wait()
        schema.upgrade(server.url, migrations.FOLDER)
        server.ask("CREATE ROLE app LOGIN SUPERUSER PASSWORD 'sesame'; SELECT 1")
        yield server


@pytest.fixture
def passwords(protected: Postgres, tmp_path: Path) -> Path:
    """A file with the password, in the format and under the name of libpq's own."""
    path = tmp_path / ".pgpass"
    path.write_text(f"127.0.0.1:{protected.port}:*:app:sesame\n")
    path.chmod(0o600)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["PGPASSWORD", "PGPASSFILE"])
def test_password_of_a_variable_is_not_used(
    protected: Postgres, passwords: Path, variable: str
) -> None:
    value = {"PGPASSWORD": "sesame", "PGPASSFILE": str(passwords)}[variable]

    result = run(
        *("migrate", "--check"),
        environment={variable: value},
        database_url=protected.url.replace("postgres@", "app@"),
    )

    assert "no password supplied" in refusal(result, code=1)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["the URL", "the home folder"])
def test_password_file_is_read_from_the_url_and_the_home_folder(
    protected: Postgres, passwords: Path, place: str
) -> None:
    url = protected.url.replace("postgres@", "app@")
    home = {"HOME": str(passwords.parent)} if place == "the home folder" else {}

    result = run(
        *("migrate", "--check"),
        environment=home,
        database_url=url if home else f"{url}?passfile={passwords}",
    )

    assert (result.returncode, result.stderr) == (0, "")
