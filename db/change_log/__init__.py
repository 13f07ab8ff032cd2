"""The log of what changed for each user: recorded by writers, numbered when it is read."""
