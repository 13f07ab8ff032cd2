"""Tests of the database layer that see what HTTP does not show."""
