"""The middleware around every request, outermost first in `agent_api.app`."""
