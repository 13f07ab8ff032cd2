"""The HTTP/1.1 protocol: how uvicorn's is limited and corrected."""
