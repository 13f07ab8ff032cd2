"""Tests with kill -9 of each process: the next process that attaches finds the committed rows."""

import time

import pytest

from db import embedded
from tests.embedded.accounts import ONE_ACCOUNT, ORDINARY_ACCOUNT
from tests.embedded.place import Place, answers, postmaster
from tests.processes import wait_until

pytestmark = pytest.mark.process


def test_killed_client_releases_its_share(place: Place) -> None:
    client = place.attach(durable=True)
    place.keep(client.answer(), 1)
    client.kill()

    wait_until(lambda: embedded.is_stopped(place.data))
    assert place.kept(place.attach(durable=True).answer()) == [1]


def test_killed_server_restarts_for_attached_clients(place: Place) -> None:
    url = place.attach(durable=True).answer()
    place.keep(url, 1)
    before = postmaster(url)
    place.kill_all("postgres")

    wait_until(lambda: answers(url))

    assert postmaster(url) != before
    assert place.kept(url) == [1]


@ORDINARY_ACCOUNT
def test_killed_server_restarts_for_a_new_client(place: Place) -> None:
    first = place.attach(durable=True)
    place.keep(first.answer(), 1)
    place.kill_all("postgres")

    assert place.kept(place.attach(durable=True).answer()) == [1]


@ONE_ACCOUNT
@pytest.mark.parametrize("which", [0, 1])
def test_server_survives_one_killed_supervisor(place: Place, which: int) -> None:
    client = place.attach()
    before = postmaster(client.answer())
    place.processes("supervisor")[which].kill()

    assert postmaster(place.attach().answer()) == before
    for attached in place.clients:
        attached.leave()
    wait_until(lambda: embedded.is_stopped(place.data))
    assert not place.processes("postgres")


@ORDINARY_ACCOUNT
def test_server_without_supervisors_gets_new_ones(place: Place) -> None:
    first = place.attach()
    before = postmaster(first.answer())
    place.kill_all("supervisor")
    place.keep(first.answer(), 1)

    second = place.attach()

    assert postmaster(second.answer()) == before
    assert place.kept(second.answer()) == [1]
    place.kill_all("postgres")
    wait_until(lambda: answers(second.answer()))
    first.leave()
    second.leave()
    wait_until(lambda: embedded.is_stopped(place.data))


@ONE_ACCOUNT
def test_abandoned_server_is_taken_over_and_stopped(place: Place) -> None:
    first = place.attach()
    before = postmaster(first.answer())
    place.kill_all("supervisor")
    first.kill()
    time.sleep(0.3)

    second = place.attach()
    assert postmaster(second.answer()) == before
    second.leave()

    wait_until(lambda: embedded.is_stopped(place.data))


def test_killing_all_processes_loses_no_acknowledged_row(place: Place) -> None:
    client = place.attach(durable=True)
    url = client.answer()
    acknowledged = list(range(50))
    for number in acknowledged:
        place.keep(url, number)
    client.process.kill()
    place.kill_all("supervisor", "postgres")
    client.kill()

    assert place.kept(place.attach(durable=True).answer()) == acknowledged


@ONE_ACCOUNT
def test_server_stops_on_sigterm_and_can_be_started_again(place: Place) -> None:
    first = place.attach()
    for process in place.processes("supervisor"):
        process.terminate()
    wait_until(lambda: embedded.is_stopped(place.data))
    assert not answers(first.answer())

    second = place.attach()

    assert answers(first.answer())
    assert answers(second.answer())
