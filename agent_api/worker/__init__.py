"""A fake agent worker for developers of front ends. It calls no model: it echoes what users say.

It uses the API over HTTP like every other client, so it can run on another machine.
"""
