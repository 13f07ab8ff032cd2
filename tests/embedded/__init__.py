"""Tests of the embedded PostgreSQL with real processes that are started and killed."""
