"""Compiles the contract: routing, parameters, request bodies and responses."""
