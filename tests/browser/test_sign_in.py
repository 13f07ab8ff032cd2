"""The token: from the address into the tab, and nowhere else."""

import base64
import time

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.chromium import ELSEWHERE
from tests.browser.conftest import NewTab
from tests.browser.console import Console
from tests.browser.using import choose, eventually, open_row
from tests.calls import new_conversation
from tests.servers import Server, sign

CLAIMS = """async () => {
  const session = await import("/app/session.js");
  const expired = session.expiresAt() <= new Date();
  return { user: session.userId(), token: session.token(), expired };
}"""
NEW_USERS = """async (token) => {
  const session = await import("/app/session.js");
  session.signIn(token);
  return session.userId();
}"""


def test_token_of_the_link_is_removed_from_address_and_history(tab: Page, server: Server) -> None:
    assert tab.url == f"{server.url}/"
    assert tab.evaluate("history.length") <= 2  # about:blank and the page

    tab.go_back()
    tab.go_forward()

    assert tab.url == f"{server.url}/"


def test_token_survives_a_reload_but_is_not_in_another_tab(
    tab: Page, user: str, new_tab: NewTab
) -> None:
    token = tab.evaluate(CLAIMS)["token"]

    tab.reload()
    other = new_tab(context=tab.context)

    assert tab.evaluate(CLAIMS) == {"user": user, "token": token, "expired": False}
    assert other.evaluate(CLAIMS)["token"] is None
    assert token not in tab.content()
    assert tab.evaluate("localStorage.length") == 0
    assert tab.evaluate("document.cookie") == ""


def test_another_link_in_the_same_tab_signs_in_as_the_other_user(tab: Page, server: Server) -> None:
    tab.evaluate("(token) => { location.hash = `token=${token}` }", sign("another"))

    expect(tab.get_by_title("another", exact=True)).to_be_visible()
    assert tab.url == f"{server.url}/"


@pytest.fixture
def elsewhere(server: Server, console: Console) -> str:
    """The server's address on a host that is not loopback."""
    console.expect("Cross-Origin-Opener-Policy")  # which counts only with https
    return server.url.replace("127.0.0.1", ELSEWHERE)


def open_link(tab: Page, user: str) -> None:
    """Open another user's link in the same tab."""
    tab.evaluate("(token) => { location.hash = `token=${token}` }", sign(user))


def test_link_on_another_host_asks_before_it_signs_in(
    new_tab: NewTab, user: str, elsewhere: str
) -> None:
    tab = new_tab(user, url=elsewhere)

    expect(tab.get_by_role("alert")).to_contain_text(f"The link signs you in as {user}.")
    assert tab.url == f"{elsewhere}/"
    assert tab.evaluate(CLAIMS)["token"] is None

    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    open_link(tab, "another")
    expect(tab.get_by_role("alert")).to_contain_text("The link signs you in as another.")
    assert tab.url == f"{elsewhere}/"

    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    assert tab.evaluate(CLAIMS)["user"] == user


def test_link_that_is_opened_while_the_page_starts_asks(
    new_tab: NewTab, user: str, elsewhere: str
) -> None:
    tab = new_tab(user, url=elsewhere)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_text("No conversations yet")).to_be_visible()
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    tab.route("**/openapi.json", hold)
    tab.reload(wait_until="commit")
    while not waiting:
        tab.wait_for_timeout(50)

    open_link(tab, "another")
    expect(tab.get_by_role("alert")).to_contain_text("The link signs you in as another.")
    waiting[0].continue_()
    tab.wait_for_timeout(500)  # the page would be drawn meanwhile

    expect(tab.get_by_role("alert")).to_contain_text("The link signs you in as another.")


def test_link_that_is_opened_in_the_tab_of_a_shared_page_asks(
    new_tab: NewTab, elsewhere: str, console: Console
) -> None:
    console.expect("404")
    tab = new_tab(url=elsewhere, fragment=f"shared={'x' * 43}")
    expect(tab.get_by_role("heading", level=1)).to_be_visible()

    open_link(tab, "another")

    expect(tab.get_by_role("alert")).to_contain_text("The link signs you in as another.")


def test_expired_token_is_kept_until_the_user_gives_another(
    new_tab: NewTab, user: str, console: Console
) -> None:
    console.expect("401")

    tab = new_tab(user, seconds=-60)

    assert tab.evaluate(CLAIMS)["expired"] is True
    assert tab.evaluate(NEW_USERS, f"  Bearer {sign(user)}\n") == user
    assert tab.evaluate(CLAIMS)["expired"] is False


def test_expiry_is_announced(new_tab: NewTab, user: str, console: Console) -> None:
    console.expect("401")
    tab = new_tab(user, seconds=2)
    started = time.monotonic()

    tab.evaluate("""async () => {
      const session = await import("/app/session.js");
      await new Promise((resolve) => session.onExpiry(resolve));
    }""")

    assert time.monotonic() - started < 30
    assert tab.evaluate(CLAIMS)["expired"] is True


def test_what_is_no_token_has_no_user(tab: Page) -> None:
    for text in ("x", "a.b.c", "a.e30.c", "a.InRleHQi.c", "🎈.🎈.🎈", "..", "a.bnVsbA.c"):
        assert tab.evaluate(NEW_USERS, text) is None, text


def test_user_id_with_any_characters_is_read_from_the_token(tab: Page) -> None:
    for user in ("Zoë/Ünïcode 用户", "<script>alert(1)</script>", "a" * 255):
        assert tab.evaluate(NEW_USERS, sign(user)) == user


@pytest.mark.parametrize("token", ["%E2%82%AC", "a%0Ab", "a%00b"])
def test_link_with_what_no_header_can_carry_signs_nobody_in(token: str, new_tab: NewTab) -> None:
    tab = new_tab(fragment=f"token={token}")

    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "token" not in tab.url


@pytest.mark.parametrize("claims", [b'{"sub": ""}', b'{"sub": 5}', b'{"sub": {}}'])
def test_token_without_a_user_is_refused(claims: bytes, new_tab: NewTab, console: Console) -> None:
    console.expect("401")
    payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")

    tab = new_tab(fragment=f"token=e30.{payload}.e30")

    expect(tab.get_by_role("heading", name="Sign in again")).to_be_visible()


def test_nothing_of_a_user_is_left_after_they_sign_out(tab: Page, maria: httpx.Client) -> None:
    for title in ("Leases", "Salaries"):
        new_conversation(maria, title=title)
    choose(tab, "Leases", "Delete")
    expect(tab.get_by_role("button", name="Undo")).to_be_visible()
    open_row(tab, "Salaries")

    tab.get_by_role("button", name="Sign out").click()

    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(tab).to_have_title("Agent API")
    tab.get_by_label("Token").fill(sign("another"))
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_title("another", exact=True)).to_be_visible()
    expect(tab.get_by_text("Leases")).to_have_count(0)
    expect(tab.get_by_role("alert")).to_have_text("")
    eventually(lambda: maria.get("/conversations").json()["total"], 1)
