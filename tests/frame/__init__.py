"""Tests of the frame over contracts of their own, for rules that the product's contract hides."""
