"""The history of the schema, which Alembic applies; `db.schema` is how the program asks for it."""
