"""Tests that each write is an entry of its user's log of changes, and nothing else is."""
