"""The database layer: tables, connections, and a module per resource with a function per query."""
