"""What handlers may import: problems, responses, preconditions, pagination."""
