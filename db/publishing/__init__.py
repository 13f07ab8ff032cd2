"""Public links, and the snapshots of conversations that they show."""
