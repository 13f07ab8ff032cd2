"""Takes the pictures of the README; `TEST_PICTURES=1 make test-browser` also writes them."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import sample
from tests.browser.conftest import NewTab
from tests.browser.using import messages
from tests.servers import Server

IMAGES = Path(__file__).parents[2] / "docs" / "images"
USER = "maria"
WIDE = {"viewport": {"width": 1280, "height": 800}}
PICTURES: dict[str, dict[str, Any]] = {
    "page-light": {**WIDE, "color_scheme": "light"},
    "page-dark": {**WIDE, "color_scheme": "dark"},
    "page-phone": {
        "viewport": {"width": 390, "height": 780},
        "color_scheme": "light",
        "has_touch": True,
        "is_mobile": True,
    },
}
SPREAD = """
UPDATE conversations SET updated_at = later, last_message_at = later
FROM (SELECT id, now() - power(row_number() OVER (ORDER BY updated_at DESC), 2)
                 * '97 minutes'::interval AS later
      FROM conversations WHERE user_id = %(user)s) AS s
WHERE conversations.id = s.id AND user_id = %(user)s
"""
"""Sets times as if the user had written now and then."""


def test_pictures_show_a_conversation(
    new_tab: NewTab, server: Server, database: Any, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with server.client(USER) as maria:
        conversation = sample.fill(maria, server)
    database.cursor().execute(SPREAD, {"user": USER})
    folder = IMAGES if os.environ.get("TEST_PICTURES") else tmp_path
    folder.mkdir(exist_ok=True)

    for name, options in PICTURES.items():
        with subtests.test(name):
            page = new_tab(USER, conversation=conversation["id"], **options)
            expect(messages(page)).to_have_count(4)
            expect(messages(page).last).to_be_in_viewport()
            page.mouse.move(0, 0)
            page.wait_for_timeout(500)

            picture = page.screenshot(path=folder / f"{name}.png", animations="disabled")

            assert 20_000 < len(picture) < 400_000
