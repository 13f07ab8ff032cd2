"""The page on a phone, where the list of conversations is a drawer."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewTab
from tests.browser.using import messages
from tests.calls import change, new_conversation, post_message


@pytest.fixture
def phone(new_tab: NewTab, user: str, maria: httpx.Client) -> Page:
    """A conversation that is open on a phone."""
    conversation = new_conversation(maria, title="Regions")
    post_message(maria, conversation, "Which region?")
    change(maria, f"/conversations/{conversation['id']}", tags=["sales"])
    size = {"width": 360, "height": 640}
    page = new_tab(user, conversation=conversation["id"], viewport=size, has_touch=True)
    expect(messages(page)).to_have_count(1)
    return page


def test_search_result_of_the_open_conversation_is_shown(phone: Page) -> None:
    phone.get_by_role("button", name="Conversations").click()
    phone.get_by_role("button", name="Search").click()
    phone.get_by_role("searchbox").fill("region")

    phone.locator("button.result").click()

    expect(phone.locator("#thread")).not_to_have_attribute("inert", "")
    expect(messages(phone)).to_be_in_viewport()


def test_tag_shows_the_list_that_it_filters(phone: Page) -> None:
    phone.get_by_role("button", name="sales").click()

    drawer = phone.get_by_role("navigation", name="Conversations")
    expect(drawer.get_by_role("button", name="Remove the filter: sales")).to_be_in_viewport()
