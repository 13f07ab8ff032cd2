"""Pages of lists: cut by limit, offset, cursor and size in bytes."""
