"""The whole story: what a user does with the page, with a real worker that answers."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.conftest import NewTab, Restartable
from tests.browser.console import Console
from tests.browser.test_streams import LOST
from tests.browser.using import (
    LONG_TOASTS,
    choose,
    eventually,
    expect_messages,
    messages,
    open_row,
    rows,
    say,
    titles,
)
from tests.live.echoing import echoing
from tests.servers import Server, sign, start_server

LONG = " ".join(f"word{n}" for n in range(60))
"""The echo worker answers it in about six seconds."""


def test_first_conversation_from_question_to_answer(
    tab: Page, echo: None, maria: httpx.Client
) -> None:
    expect(tab.get_by_text("No conversations yet")).to_be_visible()

    say(tab, "Which region grew fastest?\nSouth, I think.")

    expect_messages(tab, *["Which region grew fastest?\nSouth, I think."] * 2)
    expect(titles(tab)).to_have_text(["Which region grew fastest?"])
    expect(tab.get_by_role("heading", level=1)).to_have_text("Which region grew fastest?")
    expect(tab).to_have_title(re.compile("Which region grew fastest?"))
    (stored,) = maria.get("/conversations").json()["conversations"]
    assert (stored["message_count"], stored["agent_id"]) == (2, "echo")


def test_answer_arrives_word_by_word_and_can_be_stopped(
    tab: Page, echo: None, maria: httpx.Client
) -> None:
    say(tab, " ".join(f"word{n}" for n in range(600)))
    live = messages(tab).nth(1)

    expect(live).to_contain_text("word3")
    expect(live).not_to_contain_text("word599")
    tab.get_by_role("button", name="Stop").click()

    expect(tab.get_by_role("button", name="Send", exact=True)).to_be_visible()
    expect(messages(tab).nth(1)).to_contain_text("word3")
    expect(messages(tab).nth(1)).not_to_contain_text("word599")
    (run,) = maria.get("/runs").json()["runs"]
    assert run["status"] == "cancelled"


def test_reload_in_the_middle_of_an_answer_continues_it(tab: Page, echo: None) -> None:
    say(tab, LONG)
    expect(messages(tab).nth(1)).to_contain_text("word3")

    tab.reload()

    expect(messages(tab).nth(1)).to_contain_text("word3")
    expect_messages(tab, LONG, LONG)


def test_shift_enter_starts_a_line_and_blank_text_is_not_sent(
    tab: Page, maria: httpx.Client
) -> None:
    field = tab.get_by_role("textbox", name="Message", exact=True)

    field.fill("  \n ")
    field.press("Enter")
    field.fill("one")
    field.press("Shift+Enter")
    field.press_sequentially("two")

    expect(field).to_have_value("one\ntwo")
    assert maria.get("/conversations").json()["total"] == 0


def test_conversation_is_renamed_pinned_archived_and_deleted_with_undo(
    new_context: Callable[..., BrowserContext], new_tab: NewTab, user: str, maria: httpx.Client
) -> None:
    context = new_context()
    context.add_init_script(LONG_TOASTS)
    tab = new_tab(user, context=context)
    for title in ("First", "Second", "Third"):
        maria.post("/conversations", json={"title": title})
    expect(titles(tab)).to_have_text(["Third", "Second", "First"])

    choose(tab, "First", "Pin")
    expect(titles(tab)).to_have_text(["First", "Third", "Second"])
    choose(tab, "Second", "Rename")
    tab.get_by_role("textbox", name="Title").fill("Renamed")
    tab.keyboard.press("Enter")
    expect(titles(tab)).to_have_text(["First", "Third", "Renamed"])
    choose(tab, "Third", "Archive")
    expect(titles(tab)).to_have_text(["First", "Renamed"])
    choose(tab, "Renamed", "Delete")
    expect(titles(tab)).to_have_text(["First"])
    tab.get_by_role("button", name="Undo").last.click()

    expect(titles(tab)).to_have_text(["First", "Renamed"])
    tab.get_by_role("button", name="Archived").click()
    expect(titles(tab)).to_have_text(["Third"])

    def stored() -> set[tuple[str, bool, bool]]:
        answer = maria.get("/conversations", params={"archived": "all"}).json()
        return {(row["title"], row["pinned"], row["archived"]) for row in answer["conversations"]}

    eventually(
        stored,
        {("First", True, False), ("Renamed", False, False), ("Third", False, True)},
    )


def test_two_tabs_of_a_user_show_the_same(
    tab: Page, new_tab: NewTab, user: str, echo: None, maria: httpx.Client, console: Console
) -> None:
    console.expect("404")  # a tab may read the new title while the conversation is deleted
    other = new_tab(user)

    say(tab, "Hello from the first tab")
    open_row(other, "Hello from the first tab")
    expect_messages(other, *["Hello from the first tab"] * 2)
    say(other, "And from the second")

    for page in (tab, other):
        expect_messages(page, *["Hello from the first tab"] * 2, *["And from the second"] * 2)
    choose(other, "Hello from the first tab", "Rename")
    other.get_by_role("textbox", name="Title").fill("Renamed elsewhere")
    other.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Renamed elsewhere")
    (stored,) = maria.get("/conversations").json()["conversations"]
    assert maria.delete(f"/conversations/{stored['id']}").status_code == 204
    for page in (tab, other):
        expect(rows(page)).to_have_count(0)


def test_restart_of_the_server_in_the_middle_of_an_answer(
    restartable: Restartable, new_tab: NewTab, user: str, console: Console, tmp_path: Path
) -> None:
    console.expect(*LOST, "502")
    tab = new_tab(user, url=restartable.url)
    with echoing(restartable.url, tmp_path, "echo"):
        say(tab, LONG)
        expect(messages(tab).nth(1)).to_contain_text("word3")

        with restartable.stopped():
            expect(messages(tab).nth(1)).to_contain_text("word3")

        expect_messages(tab, LONG, LONG)
        say(tab, "Still there?")
        expect_messages(tab, LONG, LONG, "Still there?", "Still there?")


@pytest.mark.parametrize("end", ["", "/"])
def test_page_works_below_a_root_path(
    end: str,
    database_url: str,
    new_context: Callable[..., BrowserContext],
    user: str,
    maria: httpx.Client,
    tmp_path: Path,
) -> None:
    maria.post("/conversations", json={"title": "Below a path"})
    page = new_context().new_page()
    outside: list[str] = []

    with start_server(database_url, tmp_path, root_path="/tenants/api") as server:
        below = f"{server.url}/tenants/api"
        page.on(
            "request",
            lambda request: None if request.url.startswith(below) else outside.append(request.url),
        )
        page.goto(f"{below}{end}#token={sign(user)}")
        open_row(page, "Below a path")
        page.get_by_role("button", name="Settings", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.close()

    assert outside == []


def test_message_is_not_sent_to_another_api_of_the_same_host(
    tab: Page, server: Server, user: str, console: Console
) -> None:
    console.expect("ERR_FAILED")
    tab.route("**/conversations", lambda route: route.abort())
    say(tab, "For the first API")
    expect(messages(tab)).to_contain_text("For the first API")

    # A proxy that publishes another API below a path of this host.
    tab.route(
        "**/other/**", lambda route: route.continue_(url=route.request.url.replace("/other", ""))
    )
    tab.goto(f"{server.url}/other/#token={sign(user)}")

    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    expect(messages(tab)).to_have_count(0)


def test_message_written_offline_is_sent_once_when_the_network_is_back(
    tab: Page, echo: None, maria: httpx.Client, console: Console
) -> None:
    console.expect(*LOST)
    say(tab, "Before")
    expect_messages(tab, "Before", "Before")

    tab.context.set_offline(True)
    expect(tab.get_by_text("You are offline.")).to_be_visible()
    say(tab, "While offline")
    expect(messages(tab).nth(2)).to_contain_text("While offline")
    tab.context.set_offline(False)

    expect_messages(tab, "Before", "Before", "While offline", "While offline")
    expect(tab.get_by_text("You are offline.")).to_have_count(0)
    (stored,) = maria.get("/conversations").json()["conversations"]
    assert stored["message_count"] == 4


def test_message_whose_response_is_lost_is_stored_once(
    tab: Page, echo: None, maria: httpx.Client, console: Console
) -> None:
    """The server stores the message, but the browser gets no response and repeats the request."""
    console.expect("ERR_CONNECTION_RESET")
    lost: list[str] = []

    def lose_first(route: Route, request: Request) -> None:
        if request.method != "POST" or lost:
            route.fallback()
            return
        lost.append(request.headers["idempotency-key"])
        route.fetch()
        route.abort("connectionreset")

    tab.route("**/conversations/*/messages", lose_first)
    say(tab, "Only once")

    expect(tab.get_by_role("heading", name="echo").first).to_be_visible()
    expect_messages(tab, "Only once", "Only once")
    assert lost
    (stored,) = maria.get("/conversations").json()["conversations"]
    assert stored["message_count"] == 2


def test_expired_token_asks_for_another_and_continues(
    new_tab: NewTab, user: str, maria: httpx.Client, console: Console
) -> None:
    console.expect("401")
    maria.post("/conversations", json={"title": "Kept"})
    tab = new_tab(user, seconds=-60)
    expect(tab.get_by_role("heading", name="Sign in again")).to_be_visible()
    expect(tab.get_by_role("alert")).to_contain_text("expired")

    tab.get_by_label("Token").fill(sign(user))
    tab.get_by_role("button", name="Sign in").click()

    expect(titles(tab)).to_have_text(["Kept"])


def test_text_of_one_user_is_never_sent_as_another(
    tab: Page, user: str, new_tab: NewTab, console: Console, maria: httpx.Client
) -> None:
    console.expect(*LOST)
    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    tab.context.set_offline(True)
    say(tab, "A secret of Maria")
    expect(messages(tab)).to_contain_text(["A secret of Maria"])
    tab.get_by_role("button", name="Sign out").click()
    tab.context.set_offline(False)
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.post_data or ""))

    tab.get_by_label("Token").fill(sign(f"not-{user}"))
    tab.get_by_role("button", name="Sign in").click()

    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    tab.wait_for_timeout(1000)  # nothing must happen
    assert not [body for body in sent if "secret" in body]
