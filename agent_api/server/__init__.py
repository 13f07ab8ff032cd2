"""The serving process: HTTP protocol, workers, signals, limits."""
