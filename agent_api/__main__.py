"""Runs the command line: python -m agent_api."""

from agent_api.cli import main

main()
