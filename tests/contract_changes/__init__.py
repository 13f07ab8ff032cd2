"""Tests of .ci/contract: which changes break clients, add something or only reword."""
