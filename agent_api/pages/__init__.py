"""Pages outside the contract, served by Flask."""
