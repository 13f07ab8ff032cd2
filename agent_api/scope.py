"""The keys under which the middlewares leave facts about a request in its ASGI scope."""

OPERATION_ID = "agent_api.operation_id"
STATUSES = "agent_api.statuses"
"""The statuses that the contract lists for the routed operation."""
USER_ID = "agent_api.user_id"
