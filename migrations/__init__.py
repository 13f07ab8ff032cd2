"""The history of the schema. `db.schema` applies it with Alembic."""

from pathlib import Path

FOLDER = Path(__path__[0])
"""Found through the package, so that it is also found in an installed wheel."""
