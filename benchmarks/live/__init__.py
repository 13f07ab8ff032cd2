"""Measures streams: what waiting costs, how late events arrive, how many fit through a worker."""
