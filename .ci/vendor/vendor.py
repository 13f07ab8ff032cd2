"""Copies the libraries of the web page from node_modules to agent_api/pages/static/vendor.

    python .ci/vendor/vendor.py [--check]

The files are the published ES modules. The page has no build step, so `from"preact"` becomes
`from"./preact.js"`. With --check nothing is written, and files that differ are an error.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENDOR = HERE.parents[1] / "agent_api" / "pages" / "static" / "vendor"
MODULES = {
    "preact.js": "preact/dist/preact.mjs",
    "hooks.js": "preact/hooks/dist/hooks.mjs",
    "htm.js": "htm/dist/htm.mjs",
    "marked.js": "marked/lib/marked.esm.js",
}
LICENSES = {
    "preact.LICENSE": "preact/LICENSE",
    "htm.LICENSE": "htm/LICENSE",
    "marked.LICENSE": "marked/LICENSE",
}


def module(text: str) -> str:
    """Return a published module as the page loads it.

    The comment that names its source map is removed, because the map is not copied.
    """
    text = re.sub(r"^//# sourceMappingURL=.*\n?", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b(from\s*|import\s*)([\"'])preact\2", r'\1"./preact.js"', text)
    if found := re.findall(r"\bfrom\s*[\"'](?!\./)([^\"'\s]+)[\"']\s*;", text):
        raise SystemExit(f"vendor: cannot resolve {', '.join(found)}")
    return text.rstrip("\n") + "\n"


def wanted() -> Iterator[tuple[str, str]]:
    """Yield the name and the content of each file."""
    packages = HERE / "node_modules"
    for name, path in MODULES.items():
        yield name, module((packages / path).read_text("utf-8"))
    for name, path in LICENSES.items():
        yield name, (packages / path).read_text("utf-8")


def main() -> int:
    """Write the files, or compare them."""
    files = dict(wanted())
    if "--check" in sys.argv[1:]:
        there = {path.name: path.read_text("utf-8") for path in VENDOR.iterdir()}
        wrong = sorted(name for name in files | there if files.get(name) != there.get(name))
        if wrong:
            print(f"{VENDOR}: run `make vendor`, because these differ: {', '.join(wrong)}")
        return 1 if wrong else 0
    VENDOR.mkdir(exist_ok=True)
    for path in VENDOR.iterdir():
        path.unlink()
    for name, text in files.items():
        (VENDOR / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
