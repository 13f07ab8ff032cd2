"""Pages of a list, limited by limit and offset or cursor, and in bytes."""
