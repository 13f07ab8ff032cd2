"""`agent-api doctor` in real situations."""
