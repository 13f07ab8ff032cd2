"""What handlers import: problems, responses, preconditions and pagination."""
