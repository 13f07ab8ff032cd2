"""Public links to snapshots of conversations."""
