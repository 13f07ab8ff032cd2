"""The middleware around every request. `agent_api.app` puts it in order."""
