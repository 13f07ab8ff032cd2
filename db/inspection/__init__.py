"""Reads what `agent-api doctor` reports about a database. It changes nothing."""
