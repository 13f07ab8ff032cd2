"""Tests of the database layer for behaviour that is not visible over HTTP."""
