"""Tests of the framework layer with small contracts, for rules that our own contract never uses."""
