"""Runs on the page: their steps, a missing worker, and ends without an answer."""

import httpx
from playwright.sync_api import Page, expect

from tests.browser.using import messages, open_row, say
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
