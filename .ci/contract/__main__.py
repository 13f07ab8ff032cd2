"""Checks that a contract's version says what its changes do to clients.

    python .ci/contract OLD NEW [--changelog FILE]

Exits with 0 where it does, 1 where it does not, 2 where a document cannot be used.
"""

import argparse
import sys
from pathlib import Path

import versions
from changelog import markdown
from contract import compare
from document import Unusable, load
from report import lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="contract", description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="the contract of the last release")
    parser.add_argument("new", type=Path, help="the contract that is to be released")
    parser.add_argument("--changelog", type=Path, metavar="FILE", help="write Markdown to FILE")
    options = parser.parse_args()
    try:
        return check(options.old, options.new, options.changelog)
    except Unusable as error:
        print(f"contract: {error}", file=sys.stderr)
    except RecursionError:
        print("contract: a schema contains itself, or is nested too deep", file=sys.stderr)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Only a document that breaks OpenAPI has a list or a number where an object belongs.
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(f"contract: one of the documents breaks OpenAPI 3.0 ({words})", file=sys.stderr)
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
    fault = versions.fault(before, now, changes)
    print(fault or f"Version {now} is right.")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
