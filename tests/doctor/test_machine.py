"""The machine: folders, time zone, open files, memory and workers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doctor.examining import examine, parse
from tests.programs import require
from tests.servers import SECRET, clean_environment

pytestmark = pytest.mark.process

NO_DATABASE = "postgresql://agent@127.0.0.1:1/agent"


def limited(descriptors: int) -> tuple[str, ...]:
    return ("sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh")


def on_disk_of(mebibytes: int, folder: Path) -> tuple[str, ...]:
    """Return the start of a command that mounts a file system of this size, only for itself."""
    mount = f'mount -t tmpfs -o size={mebibytes}m tmpfs "$0"; exec "$@"'
    unshare = ("unshare", "--map-root-user", "--mount")
    is_allowed = subprocess.run([*unshare, "true"], capture_output=True, check=False)
    require(is_allowed.returncode == 0, "namespaces for mounts, which this user may not create")
    return (*unshare, "sh", "-ec", mount, str(folder))


def test_few_open_files_are_compared_with_the_streams() -> None:
    few = examine(prefix=limited(512), jwt_secret=SECRET, database_url=NO_DATABASE)["open-files"]
    enough = examine(
        prefix=limited(512), jwt_secret=SECRET, max_streams="300", database_url=NO_DATABASE
    )["open-files"]

    assert few["level"] == "warning"
    assert few["found"] == (
        "512 open files allow 384 connections of a worker; AGENT_API_MAX_STREAMS allows 10000"
        " streams"
    )
    assert enough["level"] == "ok"


def test_memory_of_all_processes_is_compared_with_the_limit() -> None:
    one = examine(jwt_secret=SECRET, database_url=NO_DATABASE)["memory"]
    many = examine(jwt_secret=SECRET, workers="64", database_url=NO_DATABASE)

    assert one["found"].endswith("the server's processes need about 150 MiB")
    assert many["memory"]["found"].endswith("need about 9,750 MiB")
    assert many["workers"]["level"] == "warning"


def test_folder_that_the_user_cannot_write_to_is_an_error(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    # Modes do not apply to root unless it gives up this capability.
    prefix = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()

    report = examine(prefix=prefix, data_dir=str(closed / "data"), database_url=NO_DATABASE)

    assert report["data-folder"]["level"] == "error"
    assert report["data-folder"]["found"] == f"This user cannot write to {closed}"


@pytest.mark.parametrize(("mebibytes", "level"), [(8, "error"), (500, "warning"), (1100, "ok")])
def test_low_space_for_data_is_found(tmp_path: Path, mebibytes: int, level: str) -> None:
    prefix = on_disk_of(mebibytes, tmp_path)

    finding = examine(prefix=prefix, data_dir=str(tmp_path), jwt_secret=SECRET)["data-folder"]

    assert finding["level"] == level
    assert finding["found"] == f"{tmp_path}, {mebibytes:,} MiB free"
    if level != "ok":
        assert "Free some space" in finding["advice"]


def test_temporary_files_that_cannot_be_written_are_an_error() -> None:
    environment = {name: "" for name in os.environ if "COV" in name}
    report = examine(
        prefix=("sh", "-c", 'ulimit -f 0; exec "$@"', "sh"),
        env=environment,
        jwt_secret=SECRET,
        database_url=NO_DATABASE,
    )

    assert report["temporary-folder"]["level"] == "error"
    assert "Set TMPDIR to a writable folder" in report["temporary-folder"]["found"]


@pytest.mark.parametrize(
    ("zone", "level"),
    [("Europe/Berlin", "ok"), ("Europe/Berlni", "warning"), ("CET-1", "ok"), (":UTC", "ok")],
)
def test_unknown_time_zone_is_a_warning(zone: str, level: str) -> None:
    report = examine(env={"TZ": zone}, jwt_secret=SECRET, database_url=NO_DATABASE)

    assert report["time-zone"]["level"] == level


def test_python_that_cannot_start_workers_is_an_error(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch(mode=0o600)
    start = (
        "import sys; sys.executable = sys.argv.pop(1)\nfrom agent_api.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", start, str(python), "doctor", "--json", "--workers", "2"],
        env=clean_environment(jwt_secret=SECRET, database_url=NO_DATABASE),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "Cannot start workers" in parse(result)["workers"]["found"]
