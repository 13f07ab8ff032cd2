"""Slow, numerous, odd and hostile clients, and servers that stop while clients are active."""
