"""Tests of what clients follow while it happens: events of runs, and changes."""
