"""Compares the server with others that serve the same operations: `python -m benchmarks`."""
