"""HTTP as the contract describes it, one topic per file."""
