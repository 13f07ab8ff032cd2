"""Runs the command line: agent-api, or python -m agent_api.

In each child process of `agent-api`, multiprocessing imports this module first. So the log is ready
before imports that can fail.
"""

import sys

from agent_api.observability import log

log.start(sys.argv[1:])


def main() -> None:
    """Run the command line."""
    from agent_api import cli  # noqa: PLC0415  # after the log is ready

    cli.main()


if __name__ == "__main__":
    main()
