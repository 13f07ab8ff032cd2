"""Conversations that are shared: with whom, and what a user is a member of."""
