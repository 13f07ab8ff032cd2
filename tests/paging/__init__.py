"""Tests of pages, cursors and filters of every list in every order."""
