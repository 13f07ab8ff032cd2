"""Collects what goes wrong in the pages of a test, so that no test overlooks it."""

import re

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

# The page's policy forbids most of what hostile content could do. Each attempt is reported.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} forbids ${event.blockedURI} ${event.sample}`));
"""

# The page reads a conversation that has changed, and meanwhile it is deleted.
DELETED_MEANWHILE = re.compile(r" 404 .*/conversations/[0-9a-f-]{36}\?include_messages=false$")


class Console:
    """The errors in a test's pages: exceptions, console errors, violations of the policy."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._expected = [DELETED_MEANWHILE]

    def watch(self, context: BrowserContext) -> None:
        """Collect the errors of the context's pages."""
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("page", self._watch_page)

    def _watch_page(self, page: Page) -> None:
        page.on("console", self._read)
        page.on("pageerror", lambda error: self._found.append(f"exception: {error}"))

    def _read(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            place = message.location.get("url", "")
            self._found.append(f"{message.type}: {message.text} {place}")

    def expect(self, *patterns: str) -> None:
        """Do not count errors that match one of the regular expressions.

        A browser logs each response from 400 and each failed connection as an error.
        """
        self._expected += [re.compile(pattern) for pattern in patterns]

    @property
    def unexpected(self) -> list[str]:
        """The errors that the test does not expect."""
        return [text for text in self._found if not any(one.search(text) for one in self._expected)]
