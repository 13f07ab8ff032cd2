"""Tests of the embedded PostgreSQL: real processes, started, killed and looked at."""
