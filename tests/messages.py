"""Finds the messages in the code: texts in which … stands for what is known only at run time."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent_api", "db", "handlers")
ANY = "…"
RAISED = {"ConfigError", "EmbeddedError", "MigrationRefused", "ClickException", "UsageError"}
"""The errors of the command line, whose messages people read."""
LOGGED = {"warning", "error", "critical"}


def all_texts() -> set[str]:
    """Return every text of the code, and those of its expressions."""
    return {text for node in _nodes() if (text := _text(node))}


def for_people() -> set[str]:
    """Return the messages of errors of the command line, and of the log from warnings on."""
    return {text for node in _nodes() if (text := _for_people(node))}


def is_shown(shown: str, text: str) -> bool:
    """Tell whether a page shows the message `text`: completely, or a part that ends with …."""
    if shown == text:
        return True
    if shown.endswith(ANY) and len(shown) > 12 and shown[:-1] in text:
        return True
    parts = text.split(ANY)
    if len("".join(parts)) <= 10 or any(part not in shown for part in parts):
        return False
    return re.fullmatch(".+".join(map(re.escape, parts)), shown, re.DOTALL) is not None


@cache
def _nodes() -> list[ast.AST]:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return [node for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8")))]


def _for_people(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call) or not node.args:
        return None
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
    is_logged = name in LOGGED and ast.unparse(function).startswith("logger.")
    return _text(node.args[0]) if name in RAISED or is_logged else None


def _text(node: ast.AST) -> str | None:
    """Return the text of an expression that yields one, or None."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            parts = [part.value if isinstance(part, ast.Constant) else ANY for part in values]
            return _joined("".join(map(str, parts)))
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            texts = [_text(left), _text(right)]
            return None if texts == [None, None] else _joined("".join(t or ANY for t in texts))
    return None


def _joined(text: str) -> str:
    return re.sub(f"{ANY}+", ANY, text)
