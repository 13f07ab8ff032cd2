"""Looks for barriers for people with disabilities, with axe-core."""

from pathlib import Path

from playwright.sync_api import Page

SOURCE = Path(__file__).parents[2] / ".ci/vendor/node_modules/axe-core/axe.min.js"
RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, impact, help, nodes }) =>
    nodes.map((node) => [impact, [id, help, node.html, node.failureSummary].join(": ")]));
}"""


def serious(page: Page) -> list[str]:
    """Return the serious and critical violations in the page as it is now."""
    # Colours are measured, so wait until nothing fades in or out.
    page.wait_for_function(
        "() => document.getAnimations().every((a) => a.playState !== 'running'"
        " || a.effect.getComputedTiming().iterations === Infinity)"
    )
    page.evaluate(SOURCE.read_text("utf-8"))
    found: list[list[str]] = page.evaluate(RUN)
    return [text for impact, text in found if impact in {"serious", "critical"}]
