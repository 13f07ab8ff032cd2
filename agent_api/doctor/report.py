"""Writes findings as text for people, or as JSON for programs."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

from agent_api import __version__
from agent_api.doctor.finding import Finding, Level, count

LEVELS: tuple[Level, ...] = ("error", "warning", "ok")
_COLOURS = {"error": "red", "warning": "yellow", "ok": "green"}
_LEAST_WIDTH = 40
_ADVICE = "-> "


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level of all findings."""
    return next(level for level in LEVELS if any(each.level == level for each in findings))


def as_json(findings: Sequence[Finding]) -> str:
    """Return one JSON object; its shape is documented in docs/reference/command-line.md."""
    document = {
        "version": __version__,
        "level": worst(findings),
        "findings": [finding._asdict() for finding in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_text(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield aligned lines, folded and coloured if standard output is a terminal."""
    names = max(len(finding.name) for finding in findings)
    indent = max(map(len, LEVELS)) + names + 4
    for finding in findings:
        level = click.style(finding.level, fg=_COLOURS[finding.level])
        padding = " " * (indent - names - 2 - len(finding.level))
        first, *rest = _folded(finding.found, indent)
        yield f"{level}{padding}{finding.name.ljust(names)}  {first}"
        if finding.advice is not None:
            rest += _folded(f"{_ADVICE}{finding.advice}", indent, hanging=len(_ADVICE))
        for line in rest:
            yield " " * indent + line
    errors, warnings, good = (sum(each.level == level for each in findings) for level in LEVELS)
    yield ""
    yield f"{count(errors, 'error')}, {count(warnings, 'warning')}, {good} ok"


def _folded(text: str, indent: int, *, hanging: int = 0) -> list[str]:
    """Return the lines of a text; those after the first begin with `hanging` spaces."""
    if not sys.stdout.isatty():
        return [text]
    width = max(_LEAST_WIDTH, shutil.get_terminal_size().columns - indent)
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
