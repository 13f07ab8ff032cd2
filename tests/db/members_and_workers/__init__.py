"""Tests that PostgreSQL shows members one conversation, and workers one run and its conversation.

Like queries that forget their conditions, these statements have none.
"""
