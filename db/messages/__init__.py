"""Queries for messages: posting, reading, editing, and their versions."""
