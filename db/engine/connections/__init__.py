"""Connections to PostgreSQL: addresses, hosts, sockets, the pool, and the replica for reads."""
