"""Finds messages by their words (docs/decisions/0022)."""
