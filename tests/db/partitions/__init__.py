"""Tests that every statement fits tables that are distributed by user, without Citus."""
