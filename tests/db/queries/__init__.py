"""Tests that each query is one round trip, and raises the right error if it finds no row."""
