"""The mock server, which responds with examples of the contract."""
