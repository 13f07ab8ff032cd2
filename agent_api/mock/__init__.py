"""The mock server: the contract's examples as responses."""
