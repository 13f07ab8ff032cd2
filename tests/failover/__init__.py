"""Tests in which PostgreSQL restarts, dies, freezes or fails over while clients write."""
