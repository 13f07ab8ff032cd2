"""Example conversations for a new user's account."""
