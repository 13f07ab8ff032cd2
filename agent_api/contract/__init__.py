"""The compiled contract: routing, parameters, request bodies and responses."""
