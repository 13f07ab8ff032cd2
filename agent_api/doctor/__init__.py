"""`agent-api doctor`: checks the settings, the database, the keys and the machine."""
