"""One part of the page that cannot be drawn does not empty the rest."""

from playwright.sync_api import Page

from tests.browser.console import Console

# No known response makes the page throw, so the test draws a part that does.
DRAW = """async () => {
  const { Guard, html, render } = await import("/app/html.js");
  const box = document.createElement("div");
  const Broken = () => { throw new Error("broken part"); };
  const instead = html`<p>Not displayed.</p>`;
  render(html`<p>Before.</p><${Guard} instead=${instead}><${Broken} /><//><p>After.</p>`, box);
  await new Promise((resolve) => setTimeout(resolve));
  return box.textContent;
}"""


def test_part_that_throws_is_replaced_and_reported(tab: Page, console: Console) -> None:
    console.expect("broken part")

    assert tab.evaluate(DRAW) == "Before.Not displayed.After."
