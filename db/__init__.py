"""The database layer: models, the engine, and one module a resource with one function a query."""
