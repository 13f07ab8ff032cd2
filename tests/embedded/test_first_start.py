"""Smoke test of the embedded server, which `make test` runs."""

from db import embedded
from tests.embedded.accounts import ONE_ACCOUNT
from tests.embedded.place import Place, query
from tests.processes import wait_until


@ONE_ACCOUNT
def test_first_start_creates_a_database_that_the_second_start_finds(fresh: Place) -> None:
    client = fresh.attach(durable=True)
    url = client.answer()
    query(url, "create table kept as select 1 as id")
    client.leave()
    wait_until(lambda: embedded.is_stopped(fresh.data))

    again = fresh.attach(durable=True)

    assert any("Creating a new database" in line for line in client.progress)
    assert not any("Creating a new database" in line for line in again.progress)
    assert again.answer() == url
    assert query(url, "select id from kept") == [(1,)]
