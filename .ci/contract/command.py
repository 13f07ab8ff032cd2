"""Check that the version of a contract fits its changes.

    python .ci/contract OLD NEW [--changelog FILE]

Exit codes: 0 if it fits, 1 if it is too low, 2 if a document cannot be used.
"""

import argparse
import sys
from pathlib import Path

import versions
from contract import compare
from document import Unusable, load
from report import lines, markdown


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="contract", description=str(__doc__).splitlines()[0])
    parser.add_argument("old", type=Path, help="the contract of the last release")
    parser.add_argument("new", type=Path, help="the contract to be released")
    parser.add_argument("--changelog", type=Path, metavar="FILE", help="write Markdown to FILE")
    options = parser.parse_args(arguments)
    try:
        return check(options.old, options.new, options.changelog)
    except Unusable as error:
        print(f"contract: {error}", file=sys.stderr)
    except RecursionError:
        print("contract: a schema contains itself or is nested too deeply", file=sys.stderr)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Only an invalid document has, for example, a list where an object belongs.
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(
            f"contract: one of the documents is not valid OpenAPI 3.0 ({reason})", file=sys.stderr
        )
    return 2


def check(old_path: Path, new_path: Path, changelog: Path | None) -> int:
    old, new = load(old_path), load(new_path)
    changes = compare(old, new)
    before, now = (str(document.raw["info"].get("version")) for document in (old, new))
    if changelog:
        try:
            changelog.write_text(markdown(changes, before, now), encoding="utf-8")
        except OSError as error:
            raise Unusable(f"{changelog}: {error.strerror}") from error
    print("\n".join(lines(changes)) or "Nothing has changed.")
    problem = versions.error(before, now, changes)
    print(problem or f"Version {now} fits.")
    return 1 if problem else 0
