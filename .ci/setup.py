"""Brings .venv to the locked state for the kind of work in LOCKS: `runtime` is to serve."""

import ensurepip
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

Process = subprocess.Popen[bytes]

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PLACE = VENV / ".place"  # where it was made: its scripts name that folder, so it cannot be moved
UNFINISHED = VENV / ".unfinished"  # there while pip writes: an interrupted set-up is started over
LOCKS = {
    "runtime": ["embedded.txt", "build.txt"],
    "dev": ["dev.txt"],
    "clients": ["clients.txt"],
    "browser": ["clients.txt", "browser.txt"],
    "generators": ["clients.txt", "generators.txt"],
    "fuzz": ["dev.txt", "fuzz.txt"],
}
# Settings that would put packages elsewhere than into .venv; all other PIP_ variables count.
MISLEADING = ("PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER")


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def intact() -> bool:
    """Whether .venv can be built upon."""
    if UNFINISHED.exists() or not PLACE.exists() or PLACE.read_text() != str(ROOT):
        return False
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return PYTHON.exists() and subprocess.call([PYTHON, "-I", "-c", probe]) == 0


def locked(files: list[str]) -> dict[str, str]:
    """The locks' requirements by name, each with its hashes.

    Where versions of Python need different ones, a name has several, of which pip takes its own.
    """
    text = "\n".join((ROOT / "requirements" / name).read_text() for name in files)
    blocks = re.findall(r"^(?:[^\s#]+==)(?:.*\\\n)+.*", text, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for block in dict.fromkeys(blocks):
        found.setdefault(block.partition("==")[0], []).append(block)
    return {name: "\n".join(several) for name, several in found.items()}


def shares(requirements: Sequence[str]) -> list[list[str]]:
    """Split into about equal work.

    pip's time goes into reading the index pages, and what has many files has a long page.
    """
    split: list[list[str]] = [[] for _ in range(min(4, os.cpu_count() or 1))]
    for requirement in sorted(requirements, key=len, reverse=True):
        min(split, key=lambda share: sum(map(len, share))).append(requirement)
    return [share for share in split if share]


def start_pip(*arguments: str | Path, program: Sequence[str | Path] = ("-m", "pip")) -> Process:
    environment = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--no-deps", "--no-compile"]
    command = [PYTHON, "-I", *program, "install", *options, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def finish(*running: Process) -> None:
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit("setup: failed; the message is above.")


def bootstrap(requirement: str) -> None:
    """Have the locked pip installed by the one that Python brings along, from where that lies.

    ensurepip would first install the old one, which takes longer than all of this.
    """
    ours = Path(ensurepip.__file__).parent / "_bundled"
    distribution = sysconfig.get_config_var("WHEEL_PKG_DIR")  # Debian, Fedora
    wheels = [*ours.glob("pip-*.whl"), *Path(distribution or ours).glob("pip-*.whl")]
    if not wheels:
        venv.create(VENV, with_pip=True)
    program = [wheels[0] / "pip"] if wheels else ["-m", "pip"]
    with lock_file(requirement) as path:
        finish(start_pip("--require-hashes", "-r", path, program=program))


def install(*requirements: str) -> None:
    """Side by side: with every dependency listed, no pip needs to know of the others."""
    with ExitStack() as stack:
        files = [stack.enter_context(lock_file(*share)) for share in shares(requirements)]
        finish(*[start_pip("--require-hashes", "-r", path) for path in files])


@contextmanager
def lock_file(*requirements: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(requirements))
        file.flush()
        yield file.name


def precompile() -> None:
    """Compile what pip has left.

    The tests, for which warnings are errors, shall not meet the compiler's warnings about the code
    of others, and their workers shall not all compile the same.
    """
    command = [PYTHON, "-I", "-W", "ignore", "-m", "compileall", "-q", "-j", "0", VENV / "lib"]
    finish(subprocess.Popen(command))


def packages() -> set[Path]:
    return {*VENV.glob("lib/python3*/site-packages/*"), *VENV.glob("bin/*")}


def main() -> None:
    kind = sys.argv[1]
    requirements = locked(LOCKS[kind])
    fresh = not intact()
    if fresh:
        say(f"making .venv with Python {sys.version.split()[0]}")
        venv.create(VENV, clear=True, symlinks=True)
    before = packages()
    UNFINISHED.touch()
    say(f"installing {len(requirements)} locked packages ({kind})")
    try:
        if fresh:
            bootstrap(requirements["pip"])
        else:
            install(requirements["pip"])  # alone: no other pip may run while it changes
        install(*requirements.values())
        finish(start_pip("--no-build-isolation", "--editable", "."))
        if kind != "runtime":
            precompile()
    except SystemExit:
        if not fresh and packages() == before:  # no network, say: nothing was written
            UNFINISHED.unlink()
        raise
    PLACE.write_text(str(ROOT))
    UNFINISHED.unlink()


if __name__ == "__main__":
    main()
