"""Measures what grows: pages, writers, memory, start-up. `python -m benchmarks.growth`."""
