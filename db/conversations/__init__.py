"""Queries for conversations: one, lists, and deletion."""
