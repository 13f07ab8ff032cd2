"""How the page follows a stream: each event once and in order, whatever happens."""

import time
from typing import Any

import httpx
from playwright.sync_api import Page

from tests.browser.conftest import NewTab, Restartable
from tests.browser.console import Console
from tests.calls import new_run
from tests.servers import sign
from tests.workers import Worker, claimed_run

LOST = (
    *("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE"),
    *("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_INTERNET_DISCONNECTED", "503"),
)
FOLLOW = """async ({name, values, token}) => {
  const { connect } = await import("/app/client.js");
  const { follow } = await import("/app/streams.js");
  const api = await connect({ token: () => token });
  window.events = [];
  window.states = [];
  window.stopping = new AbortController();
  const finished = follow(api, name, values, {
    onEvent: (event) => events.push(event),
    onState: (state) => states.push(state),
    signal: stopping.signal,
  });
  window.outcome = null;
  finished.then(
    () => { window.outcome = "ended" },
    (error) => { window.outcome = `${error.name} ${error.status ?? error.message}` },
  );
}"""


def follow(tab: Page, name: str, values: dict[str, Any], token: str) -> None:
    """Let the tab follow a stream, and collect its events in `events`."""
    tab.evaluate(FOLLOW, {"name": name, "values": values, "token": token})


def wait_for(tab: Page, condition: str) -> None:
    """Wait until a JavaScript expression is true."""
    tab.wait_for_function(f"() => {condition}")


def titles(client: httpx.Client, *names: str) -> None:
    for name in names:
        assert client.post("/conversations", json={"title": name}).status_code == 201


def test_parser_follows_the_rules_of_the_standard(tab: Page) -> None:
    cases: list[tuple[list[str], list[list[Any]]]] = [
        (["data: a\n\n"], [[None, "message", "a"]]),
        (["data: a\r\n\r\ndata: b\r\rdata: c\n\n"], [[None, "message", one] for one in "abc"]),
        (["id: 1\nevent: x\nda", 'ta: {"a":', "1}\n", "\n"], [["1", "x", '{"a":1}']]),
        (["data: a\r", "\n\r", "\ndata: b\r", "\r"], [[None, "message", one] for one in "ab"]),
        (["data:a\ndata:  b\ndata\n\n"], [[None, "message", "a\n b\n"]]),
        ([": comment\n\n:\n\n", "data: a\n\n"], [[None, "message", "a"]]),
        (["id: 7\n\n", "data: a\n\n"], [["7", "message", "a"]]),
        (["id: 7\ndata: a\n\nid: 8\ndata: b\n"], [["7", "message", "a"]]),
        (["data: a\u2028b\u0085c\n\n"], [[None, "message", "a\u2028b\u0085c"]]),
        (["other: x\nretry: 5s\nevent\ndata: a\n\n"], [[None, "message", "a"]]),
        (["", "\n", "data: a\n", "", "\n"], [[None, "message", "a"]]),
    ]
    for texts, events in cases:
        parsed = tab.evaluate(
            """async (texts) => {
              const { EventParser } = await import("/app/sse.js");
              const parser = new EventParser();
              const events = texts.flatMap((text) => [...parser.push(text)]);
              return events.map(({ id, event, data }) => [id, event, data]);
            }""",
            texts,
        )
        assert parsed == events, texts


def test_changes_are_followed_across_a_restart(
    restartable: Restartable, new_tab: NewTab, user: str, console: Console
) -> None:
    console.expect(*LOST)
    token = sign(user)
    tab = new_tab(url=restartable.url)
    follow(tab, "stream_changes", {"after": 0}, token)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=restartable.url, headers=headers, verify=False) as maria:
        titles(maria, "one", "two")
        wait_for(tab, "events.length === 2")

        with restartable.stopped():
            wait_for(tab, "states.at(-1) === 'waiting'")
        titles(maria, "three")

        wait_for(tab, "events.length === 3")
    assert tab.evaluate("events.map(({id}) => id)") == ["1", "2", "3"]
    assert tab.evaluate("events[0].event") == "conversation.created"
    assert tab.evaluate("states.at(-1)") == "open"
    tab.evaluate("stopping.abort()")
    wait_for(tab, "outcome === 'ended'")
    assert tab.evaluate("states.at(-1)") == "closed"


def test_changes_are_followed_after_the_network_was_away(
    tab: Page, maria: httpx.Client, user: str, console: Console
) -> None:
    console.expect(*LOST)
    follow(tab, "stream_changes", {"after": 0}, sign(user))
    titles(maria, "one")
    wait_for(tab, "events.length === 1")

    tab.context.set_offline(True)
    wait_for(tab, "states.at(-1) === 'waiting'")
    titles(maria, "two", "three")
    time.sleep(2)  # an attempt without a network
    tab.context.set_offline(False)

    wait_for(tab, "events.length === 3")
    assert tab.evaluate("events.map(({id}) => id)") == ["1", "2", "3"]


def test_run_is_followed_to_its_end(
    tab: Page, maria: httpx.Client, worker: Worker, user: str
) -> None:
    claim = claimed_run(maria, worker)
    follow(tab, "stream_run_events", {"run_id": claim.run["id"]}, sign(user))
    wait_for(tab, "events.length === 1")
    words = [{"type": "text.delta", "data": {"text": text}} for text in ("Zoë ", "🎈", "\u2028")]

    worker.client.post(f"{claim.path}/events", json={"events": words}, headers=claim.headers)
    worker.update(claim, status="succeeded")

    wait_for(tab, "outcome === 'ended'")
    events = tab.evaluate("events")
    assert [event["event"] for event in events] == [
        *("run.started", "text.delta", "text.delta", "text.delta", "run.ended")
    ]
    assert [event["data"]["text"] for event in events[1:4]] == ["Zoë ", "🎈", "\u2028"]
    assert [event["id"] for event in events] == ["1", "2", "3", "4", "5"]


def test_run_that_has_ended_is_not_followed_again(
    tab: Page, maria: httpx.Client, user: str
) -> None:
    run = new_run(maria)
    maria.post(f"/runs/{run['id']}/cancel")
    events = maria.get(f"/runs/{run['id']}/events").json()
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.url))

    values = {"run_id": run["id"], "after": events["last_sequence"]}
    follow(tab, "stream_run_events", values, sign(user))

    wait_for(tab, "outcome === 'ended'")
    assert len([url for url in sent if "/events/stream" in url]) == 1
    assert tab.evaluate("events") == []


def test_stream_that_is_refused_ends_with_the_problem(
    tab: Page, user: str, console: Console
) -> None:
    console.expect("401", "404", "422")
    nowhere = "00000000-0000-4000-8000-000000000000"
    for name, values, token, outcome in (
        ("stream_changes", {}, "nonsense", "Problem 401"),
        ("stream_run_events", {"run_id": nowhere}, sign(user), "Problem 404"),
        ("stream_changes", {"after": -1}, sign(user), "Problem 422"),
        ("stream_changes", {"afterwards": 1}, sign(user), "TypeError stream_changes has no"),
    ):
        follow(tab, name, values, token)
        wait_for(tab, "outcome !== null")
        assert tab.evaluate("outcome").startswith(outcome)
        assert tab.evaluate("states.at(-1)") == "closed"


def test_mistake_in_a_listener_ends_the_stream(tab: Page, maria: httpx.Client, user: str) -> None:
    titles(maria, "one")

    message = tab.evaluate(
        """async (token) => {
          const { connect } = await import("/app/client.js");
          const { follow } = await import("/app/streams.js");
          const api = await connect({ token: () => token });
          const onEvent = () => { throw new RangeError("mistake") };
          return follow(api, "stream_changes", { after: 0 }, { onEvent }).catch(String);
        }""",
        sign(user),
    )

    assert message == "RangeError: mistake"
