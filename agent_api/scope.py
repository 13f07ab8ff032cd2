"""The keys of what the frame leaves in an ASGI scope: facts about a request, and its state."""

OPERATION_ID = "agent_api.operation_id"
ROUTE = "agent_api.route"
"""The path of the routed operation, with the contract's placeholders."""
STATUSES = "agent_api.statuses"
"""The statuses that the contract lists for the routed operation."""
TRACE = "agent_api.trace"
"""The trace and the span of this request, where the server writes spans."""
BODY_OVERDUE = "agent_api.body_overdue"
"""Set where the body comes too slowly: whoever reads it is to stop."""
USER_ID = "agent_api.user_id"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that what is counted or traced may be named after: a client can write any word."""
RATE_LIMIT = "agent_api.rate_limit"
"""The headers that say how many requests the user has left."""

LAST_WORDS = "agent_api.last_words"
"""In the lifespan's state: what a process does before it ends without the lifespan's own end."""
