"""python -m agent_api is agent-api."""

from agent_api.cli import main

main()
