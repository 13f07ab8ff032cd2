"""Conversations that are shared with other users."""
