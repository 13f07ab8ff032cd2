"""Let atheris search for input that breaks a target: python -m tests.fuzz [target ...].

Each target runs in its own process for its share of the time. Input that breaks a target is written
to .fuzz/broken; try it again with --input.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

FOLDER = Path(".fuzz")
NAMES = ("token", "claims", "keys", "parameters", "cursor", "json_body")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=120, help="total time")
    parser.add_argument("--seed", type=int, default=0, help="random seed; 0: a new one")
    parser.add_argument("--input", type=Path, help="a single input file to try")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.targets = options.targets or NAMES
    if options.input:
        from tests.fuzz.targets import TARGETS

        TARGETS[options.targets[0]](options.input.read_bytes())
        return
    if importlib.util.find_spec("atheris") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"atheris is not available for Python {version} on this platform: coverage-guided"
            " fuzzing needs Python 3.11 to 3.14 on Linux x86_64."
        )
    seconds = max(1, options.seconds // len(options.targets))
    if options.here:
        fuzz(options.targets[0], seconds, options.seed)
    failed = [name for name in options.targets if run(name, seconds, options.seed)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see the input in {FOLDER}/broken")


def run(name: str, seconds: int, seed: int) -> int:
    """Fuzz one target in its own process, because atheris exits the process it runs in."""
    sys.stderr.write(f"--- {name}, {seconds} s\n")
    command = [sys.executable, "-m", "tests.fuzz", name, "--here", "--seconds", str(seconds)]
    command += ["--seed", str(seed)]
    return subprocess.run(command, check=False, timeout=seconds + 120).returncode


def fuzz(name: str, seconds: int, seed: int) -> None:
    import atheris

    # Atheris records the branches and comparisons of modules that are imported here.
    with atheris.instrument_imports(include=["agent_api", "jwt"]):
        from tests.fuzz.targets import SEEDS, TARGETS

    corpus, broken = FOLDER / name, FOLDER / "broken"
    for folder in (corpus, broken):
        folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(example)
    arguments = [
        *(sys.argv[0], str(corpus), f"-max_total_time={seconds}", "-max_len=4096"),
        *(f"-artifact_prefix={broken}/{name}-", "-print_final_stats=1", "-verbosity=1"),
        *("-timeout=10", "-rss_limit_mb=2048", f"-seed={seed}"),
    ]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
