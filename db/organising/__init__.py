"""How a user organises conversations: archived, pinned and tagged ones, and what was read."""
