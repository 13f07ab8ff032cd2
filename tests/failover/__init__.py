"""PostgreSQL restarts, dies, freezes and is replaced, while clients write."""
