"""Tests of the check of contract changes: what breaks clients, what adds, what only rewords."""
