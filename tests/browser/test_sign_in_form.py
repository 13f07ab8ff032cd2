"""The form that asks for a token."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewTab
from tests.servers import Server, sign


@pytest.fixture
def form(new_tab: NewTab) -> Page:
    """The page of a visitor without a token."""
    return new_tab()


@pytest.mark.parametrize("before", ["", " Bearer ", "http://127.0.0.1:8000/#token="])
def test_token_is_accepted_as_it_was_copied(
    form: Page, user: str, server: Server, before: str
) -> None:
    expect(form.get_by_label("Token")).to_be_focused()
    form.keyboard.insert_text(f"{before}{sign(user)}")
    form.keyboard.press("Enter")

    expect(form.get_by_text(user, exact=True)).to_be_visible()
    assert form.url == f"{server.url}/"


def test_what_is_not_a_token_is_refused_before_it_is_sent(form: Page) -> None:
    field = form.get_by_label("Token")
    button = form.get_by_role("button", name="Sign in")

    button.click()
    expect(form.get_by_text("Paste a token.")).to_be_visible()
    field.fill("a password")
    expect(form.get_by_text("Paste a token.")).to_be_hidden()
    button.click()

    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_text("This is not a token")).to_be_visible()
