"""Tests that PostgreSQL shows a statement only the rows of its acting user.

Like a query that forgets the owner, these statements have no condition on it.
"""
