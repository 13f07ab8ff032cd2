"""Tests that must run as root; other users do not collect them (see conftest)."""

import os
import pwd
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from db import embedded
from tests.embedded.accounts import ONE_ACCOUNT, PACKAGES, PROJECT, WHEEL, Account, link_tree
from tests.embedded.place import Place, new_place, query
from tests.processes import wait_until

pytestmark = [pytest.mark.process, pytest.mark.slow]  # many cold starts of PostgreSQL


@ONE_ACCOUNT
def test_server_started_by_root_runs_as_an_unprivileged_user(place: Place) -> None:
    client = place.attach()
    running = place.processes("postgres") + place.processes("supervisor")

    assert len(running) == 3
    for process in running:
        assert process.uids().real == process.uids().effective == process.uids().saved
        assert pwd.getpwuid(process.uids().real).pw_name in {"postgres", "nobody"}
        assert set(process.gids()) == {pwd.getpwuid(process.uids().real).pw_gid}
    for folder in (place.data, place.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o711
        assert folder.stat().st_uid == 0
    client.leave()


@ONE_ACCOUNT
def test_inaccessible_parent_folder_is_named_and_not_changed(fresh: Place) -> None:
    fresh.base.chmod(0o700)

    line = fresh.start().answer()

    assert f"cannot enter {fresh.base}" in line
    assert "AGENT_API_DATA_DIR" in line
    assert stat.S_IMODE(fresh.base.stat().st_mode) == 0o700


@ONE_ACCOUNT
def test_inaccessible_binaries_are_copied_once(place: Place, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    for name in WHEEL:
        link_tree(PACKAGES / name, packages / name, "pginstall", "include", "*.a")
    tmp_path.chmod(0o700)
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (packages, PROJECT, PACKAGES)))}

    first = place.start(environment=paths)
    assert query(first.answer(), "select 1") == [(1,)]
    first.leave()
    wait_until(lambda: embedded.is_stopped(place.data))
    second = place.start(environment=paths)
    assert query(second.answer(), "select 1") == [(1,)]

    assert [line for line in first.progress if "Copying PostgreSQL 18" in line]
    assert not [line for line in second.progress if "Copying" in line]
    copied = list(place.folder.glob("software*"))
    assert len(copied) == 1
    program = Path(place.processes("postgres")[0].exe())
    assert program.is_relative_to(copied[0])


@ONE_ACCOUNT
def test_user_without_a_name_is_refused(place: Place, accounts: Callable[[str], Account]) -> None:
    nameless = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < 60_000) + 1
    account = replace(accounts("nobody"), uid=nameless, gid=nameless)
    with new_place(account) as fresh:
        line = fresh.start().answer()

    assert f"User {nameless} has no name" in line


@ONE_ACCOUNT
def test_roots_data_folder_is_refused_to_other_users(
    place: Place, accounts: Callable[[str], Account]
) -> None:
    line = place.seen_by(accounts("nobody")).start().answer()

    assert f"Cannot use the data folder {place.data}: Permission denied" in line
