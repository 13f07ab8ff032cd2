"""Runs on the page: their steps, a missing worker, and ends without an answer."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.console import Console
from tests.browser.using import NOTHING_TO_SEND, late_answer, messages, open_row, say
from tests.calls import Json, change, create, new_conversation, new_run, post_message
from tests.workers import new_agent


def report(client: httpx.Client, run: Json, kind: str, **data: str) -> None:
    """Append an event, as an agent does."""
    create(client, f"/runs/{run['id']}/events", events=[{"type": kind, "data": data}])


def choose_agent(page: Page, agent: str) -> None:
    """Type the name of the agent that answers."""
    field = page.get_by_label("Agent", exact=True)
    field.fill(agent)
    field.press("Tab")


def test_missing_worker_is_explained_with_the_command_that_starts_one(
    tab: Page, maria: httpx.Client
) -> None:
    agent = new_agent()
    choose_agent(tab, agent)

    say(tab, "Is anybody there?")

    expect(tab.get_by_text("No worker has taken this run.")).to_be_visible()
    expect(tab.get_by_text(f"agent-api worker --echo --agent {agent}")).to_be_visible()
    tab.get_by_role("button", name="Stop").click()
    expect(tab.get_by_text("Stopped before an answer.")).to_be_visible()
    (run,) = maria.get("/runs").json()["runs"]
    assert (run["agent_id"], run["status"]) == (agent, "cancelled")


def test_run_of_another_device_is_shown_with_its_steps_and_failure(
    tab: Page, maria: httpx.Client
) -> None:
    conversation = new_conversation(maria, title="Regions")
    post_message(maria, conversation, "Which region?")
    open_row(tab, "Regions")
    run = new_run(maria, conversation_id=conversation["id"], status="running")
    live = tab.locator("[aria-busy=true]")

    report(maria, run, "tool.started", name="spreadsheet_query")
    expect(live).to_contain_text("tool started: spreadsheet_query")
    report(maria, run, "text.delta", text="The **South**")
    expect(live.locator("strong")).to_have_text("South")
    change(maria, f"/runs/{run['id']}", status="failed", error="The sheet is gone.")

    expect(tab.get_by_text("The agent failed. The sheet is gone.")).to_be_visible()
    expect(messages(tab)).to_have_count(1)
    expect(tab.get_by_role("button", name="Ask again")).to_be_visible()


LEAST = """() => {
  const region = document.querySelector(".scroll");
  const count = () => region.querySelectorAll("article").length;
  window.least = count();
  new MutationObserver(() => { least = Math.min(least, count()); })
    .observe(region, { childList: true, subtree: true });
}"""


def test_answer_never_disappears(tab: Page, echo: None) -> None:
    say(tab, "One two three four five")
    expect(messages(tab).nth(1)).to_contain_text("One")
    tab.evaluate(LEAST)

    expect(tab.get_by_role("button", name="Send", exact=True)).to_be_visible()
    expect(messages(tab)).to_have_count(2)
    assert tab.evaluate("least") == 2


def test_finished_answer_is_announced_once(tab: Page, echo: None) -> None:
    announced = tab.locator("[aria-live=polite]")

    say(tab, "One two three")

    expect(announced).to_have_text("Answer: One two three")


def test_queued_run_does_not_need_a_worker_of_its_own(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    post_message(maria, conversation, "Which region?")
    agent = new_agent()
    for _ in range(2):
        new_run(maria, agent_id=agent, conversation_id=conversation["id"], if_busy="queue")

    open_row(tab, "Regions")

    expect(tab.locator("[aria-busy=true]")).to_have_count(2)
    expect(tab.get_by_text("No worker has taken this run.").first).to_be_visible()
    tab.wait_for_timeout(500)  # the other one was drawn at the same time
    expect(tab.get_by_text("No worker has taken this run.")).to_have_count(1)


def test_answer_again_pressed_twice_starts_one_run(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions", agent_id=new_agent())
    post_message(maria, conversation, "Which region?")
    post_message(maria, conversation, "South", role="assistant")
    open_row(tab, "Regions")
    messages(tab).nth(1).hover()

    messages(tab).nth(1).get_by_role("button", name="Answer again").dblclick()

    expect(tab.get_by_text("Waiting for the agent")).to_be_visible()
    tab.wait_for_function(NOTHING_TO_SEND)
    assert maria.get("/runs").json()["total"] == 1


def test_run_that_ended_while_another_conversation_was_open(
    tab: Page, maria: httpx.Client, console: Console
) -> None:
    console.expect("503")
    conversation = new_conversation(maria, title="Regions")
    new_conversation(maria, title="Leases")
    post_message(maria, conversation, "Which region?")
    open_row(tab, "Regions")
    run = new_run(maria, conversation_id=conversation["id"], status="running")
    expect(tab.locator("[aria-busy=true]")).to_have_count(1)
    open_row(tab, "Leases")
    change(maria, f"/runs/{run['id']}", status="succeeded")
    tab.route("**/runs?*", lambda route: route.fulfill(status=503))

    with tab.expect_response("**/runs?*"):
        open_row(tab, "Regions")

    expect(messages(tab)).to_have_count(1)
    expect(tab.locator("[aria-busy=true]")).to_have_count(0)


def test_run_is_not_followed_in_another_conversation(tab: Page, maria: httpx.Client) -> None:
    conversation = new_conversation(maria, title="Regions")
    new_conversation(maria, title="Leases")
    new_run(maria, conversation_id=conversation["id"], status="running")
    streams: list[str] = []
    tab.on(
        "request",
        lambda request: streams.append(request.url) if "/events/stream" in request.url else None,
    )
    with late_answer(tab, "**/runs?*") as release:
        open_row(tab, "Regions")
    open_row(tab, "Leases")

    release()

    tab.wait_for_timeout(500)  # nothing must happen
    assert streams == []
