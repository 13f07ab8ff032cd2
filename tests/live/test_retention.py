"""The transient events of a run are deleted some time after its end."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import psycopg2
import pytest

from db import sweeps
from tests.calls import Json, read
from tests.live.following import append, end, following, running, texts, word
from tests.processes import wait_until
from tests.servers import start_server


def ended_run(client: httpx.Client, transient: int) -> Json:
    """Return a run that has ended, with so many transient events and one other."""
    run = running(client)
    for start in range(0, transient, 200):
        size = min(200, transient - start)
        append(client, run, *[word("piece", transient=True)] * size)
    append(client, run, word("whole"))
    return end(client, run)


@pytest.mark.process
def test_transient_events_are_deleted_an_hour_after_the_end(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()  # a sweep by another server would delay this one by a minute
    many = sweeps.BATCH_ROWS + 1
    with start_server(url, tmp_path) as server, server.client("alice") as alice:
        old, new, active = ended_run(alice, many), ended_run(alice, 3), running(alice)
        append(alice, active, word("piece", transient=True))
    with closing(psycopg2.connect(url)) as database, database:
        database.cursor().execute(
            "UPDATE runs SET started_at = now() - interval '2 h',"
            " finished_at = now() - interval '61 min' WHERE id = %s",
            [old["id"]],
        )

    with start_server(url, tmp_path) as server, server.client("alice") as alice:

        def events(run: Json) -> list[Json]:
            found: list[Json] = read(alice, f"/runs/{run['id']}/events", limit=500)["events"]
            return found

        wait_until(lambda: len(events(old)) == 3)

        assert [event["sequence"] for event in events(old)] == [1, many + 2, many + 3]
        assert len(events(new)) == 6
        assert texts(events(active)) == ["piece"]
        with following(alice, old, after=2) as stream:
            assert [event.id for event in stream] == [many + 2, many + 3]
