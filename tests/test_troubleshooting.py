"""docs/operations/troubleshooting.md shows the messages that the code has, and misses none."""

import re

from tests import messages

PAGE = (messages.ROOT / "docs" / "operations" / "troubleshooting.md").read_text("utf-8")
SHOWN = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE)


def test_every_message_of_the_page_is_in_the_code() -> None:
    texts = messages.all_texts()

    rotten = [shown for shown in SHOWN if not any(messages.is_shown(shown, t) for t in texts)]

    assert len(SHOWN) > 90
    assert rotten == []


def test_no_message_of_the_commands_and_the_log_is_missing() -> None:
    missing = {
        text
        for text in messages.for_people()
        if len(text.replace(messages.ANY, "")) > 10  # not only the message of a setting's value
        and not any(messages.is_shown(shown, text) for shown in SHOWN)
    }

    assert missing == set()


def test_message_that_nobody_prints_is_noticed() -> None:
    texts = messages.all_texts()

    for shown in ("The moon is full, run …", "The moon is full: run agent-api moon"):
        assert not any(messages.is_shown(shown, text) for text in texts)
