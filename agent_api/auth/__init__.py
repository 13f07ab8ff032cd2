"""Turns the Authorization header into a Principal, without the database."""
