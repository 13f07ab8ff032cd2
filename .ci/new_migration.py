"""Writes a migration for the difference between db/models/ and the migrations.

    python .ci/new_migration.py "Add archived to conversations"

Alembic compares the models with a database at the newest revision. An embedded PostgreSQL in a
temporary folder serves as one, so the result does not depend on anybody's data.
"""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import migrations
from db import embedded, schema
from db.environment import ignore_postgresql_variables


def main() -> int:
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        print('Say what it does: make migration NAME="Add archived to conversations"')
        return 2
    ignore_postgresql_variables()
    alembic = str(Path(sys.executable).with_name("alembic"))
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # as root, PostgreSQL runs as another user
        server = embedded.attach(Path(folder), durable=False)
        try:
            schema.upgrade(server.url, migrations.FOLDER)
            command = [alembic, "-x", f"url={server.url}", "revision", "--autogenerate"]
            code = subprocess.run([*command, "-m", sys.argv[1]], check=False).returncode
            ruff = str(Path(sys.executable).with_name("ruff"))
            subprocess.run([ruff, "format", "--quiet", migrations.FOLDER], check=True)
            return code
        finally:
            server.close()
            while not embedded.is_stopped(Path(folder)):
                time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
