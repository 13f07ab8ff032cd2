"""Branches of conversations."""
