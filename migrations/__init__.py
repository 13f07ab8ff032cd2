"""The schema's revisions, which `db.schema` applies with Alembic."""

from pathlib import Path

FOLDER = Path(__path__[0])
"""The folder of this package, which also exists in an installed wheel."""
