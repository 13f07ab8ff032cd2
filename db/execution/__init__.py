"""Queries for what happens to a run between its creation and its end."""
