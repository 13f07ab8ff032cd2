"""docs/operations.md, whose commands and alerts the tests run."""

import re
from pathlib import Path

GUIDE = (Path(__file__).parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return what stands under a heading, up to the next of its rank or a higher one."""
    head, body = re.split(rf"^(#+) {title}\n", GUIDE, flags=re.MULTILINE)[1:3]
    return re.split(rf"^#{{1,{len(head)}}} ", body, flags=re.MULTILINE)[0]


def blocks(kind: str, text: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
