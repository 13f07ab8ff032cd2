"""The panel of chat settings: fields of the contract, mistakes next to them, saves elsewhere."""

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.console import Console

PATH = "/users/me/chat-settings"


@pytest.fixture
def panel(tab: Page) -> Locator:
    """The open panel."""
    tab.get_by_role("button", name="Settings").click()
    found = tab.get_by_role("dialog", name="Chat settings")
    expect(found.get_by_label("Max tokens")).to_be_visible()
    return found


def test_says_that_the_page_is_offline_and_reads_again(tab: Page, console: Console) -> None:
    console.expect("ERR_INTERNET_DISCONNECTED")
    settings = tab.get_by_role("button", name="Settings")
    panel = tab.get_by_role("dialog", name="Chat settings")
    settings.click()  # its modules are loaded with it
    expect(panel.get_by_label("Max tokens")).to_be_visible()
    tab.keyboard.press("Escape")
    tab.context.set_offline(True)
    settings.click()
    expect(panel.get_by_role("alert")).to_contain_text("You are offline")

    tab.context.set_offline(False)
    panel.get_by_role("button", name="Try again").click()

    expect(panel.get_by_label("Max tokens")).to_have_value("2000")
    expect(panel.get_by_role("alert")).to_be_hidden()


def description(field: Locator) -> str:
    """Return what a screen reader says after the field's name."""
    return str(
        field.evaluate("""(field) => field.getAttribute("aria-describedby").split(" ")
          .map((id) => document.getElementById(id).textContent.trim()).join(" ")""")
    )


def test_saves_what_was_changed_and_nothing_else(panel: Locator, maria: httpx.Client) -> None:
    maria.put(PATH, json={"model": "llama-3.3-70b", "enabled_tools": ["calculator"]})
    page = panel.page
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.get_by_role("button", name="Settings")).to_be_focused()
    page.get_by_role("button", name="Settings").click()

    panel.get_by_role("textbox", name="Enabled tools").fill("document_search")
    page.keyboard.press("Enter")
    panel.get_by_role("button", name="Remove calculator").click()
    panel.get_by_label("Temperature").fill("0,2")
    panel.get_by_label("Max tokens").fill("")
    panel.get_by_role("button", name="Save").click()

    expect(panel).to_be_hidden()
    saved = maria.get(PATH).json()
    assert saved["enabled_tools"] == ["document_search"]
    assert (saved["temperature"], saved["max_tokens"]) == (0.2, 2000)
    assert saved["model"] == "llama-3.3-70b"


def test_shows_each_mistake_at_its_field(
    panel: Locator, maria: httpx.Client, console: Console
) -> None:
    console.expect("422")
    agents = panel.get_by_role("textbox", name="Enabled agents")
    agents.fill("no-uuid,")
    panel.get_by_label("Temperature").fill("3")

    panel.get_by_role("button", name="Save").click()

    expect(agents).to_be_focused()
    assert description(agents).endswith("“no-uuid” must be a uuid")
    assert description(panel.get_by_label("Temperature")).endswith("Temperature must be at most 2.")
    expect(panel.locator("[aria-invalid=true]")).to_have_count(2)

    panel.get_by_label("Temperature").fill("1")
    panel.get_by_role("button", name="Remove no-uuid").click()
    expect(panel.locator("[aria-invalid=true]")).to_have_count(0)
    panel.get_by_role("button", name="Save").click()
    expect(panel).to_be_hidden()
    assert maria.get(PATH).json()["temperature"] == 1


def test_keeps_what_another_device_has_saved_until_the_user_decides(
    panel: Locator, maria: httpx.Client, console: Console
) -> None:
    console.expect("412")
    panel.get_by_label("Temperature").fill("1.5")
    panel.get_by_label("Model").fill("small")
    maria.put(PATH, json={"temperature": 0.1, "max_tokens": 500})

    panel.get_by_role("button", name="Save").click()

    expect(panel.get_by_role("alert")).to_contain_text("Changed there: Temperature, Max tokens.")
    expect(panel.get_by_label("Max tokens")).to_have_value("500")
    expect(panel.get_by_label("Temperature")).to_have_value("1.5")
    assert maria.get(PATH).json()["temperature"] == 0.1

    panel.get_by_role("button", name="Use this").click()
    expect(panel.get_by_label("Temperature")).to_have_value("0.1")
    panel.get_by_role("button", name="Save").click()
    expect(panel).to_be_hidden()
    saved = maria.get(PATH).json()
    assert (saved["temperature"], saved["max_tokens"], saved["model"]) == (0.1, 500, "small")


def test_panel_with_changes_is_closed_only_by_its_buttons(panel: Locator) -> None:
    panel.get_by_label("Temperature").fill("0,2")

    panel.page.keyboard.press("Control+k")

    expect(panel.get_by_label("Temperature")).to_have_value("0,2")
    panel.page.keyboard.press("Escape")
    expect(panel.get_by_label("Temperature")).to_have_value("0,2")
    panel.get_by_role("button", name="Cancel").click()
    panel.page.keyboard.press("Control+k")
    expect(panel.page.get_by_role("search")).to_be_visible()
