"""Read docs/operations/, whose commands and alerts the tests run."""

import re
from pathlib import Path

PAGES = sorted((Path(__file__).parents[1] / "docs" / "operations").glob("*.md"))
GUIDE = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def section(title: str) -> str:
    """Return the text below the only heading with this title, up to the next of its level."""
    head, body = re.split(rf"^(#+) {title}\n", GUIDE, flags=re.MULTILINE)[1:3]
    return re.split(rf"^#{{1,{len(head)}}} ", body, flags=re.MULTILINE)[0]


def blocks(kind: str, text: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
