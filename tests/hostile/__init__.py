"""Clients that are slow, many, odd or hostile, and a server that stops while they are at it."""
