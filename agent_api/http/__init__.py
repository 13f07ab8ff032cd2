"""The modules that handlers import: problems, responses, preconditions, pagination."""
