"""HTTP as the contract has it, one idea a file."""
