"""Removes the environment variables that libpq and PostgreSQL's programs read."""

import os


def ignore_postgresql_variables() -> None:
    """Remove all variables whose names start with PG, for this process and its children.

    Call it before anything connects: libpq uses such a variable for each parameter that a database
    URL omits. https://www.postgresql.org/docs/current/libpq-envars.html
    """
    for name in [name for name in os.environ if name.startswith("PG")]:  # noqa: TID251 (libpq's)
        del os.environ[name]  # noqa: TID251 (libpq's)
