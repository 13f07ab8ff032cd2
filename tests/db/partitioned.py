"""Creates the tables partitioned by their rows' owner, as a stand-in for distributed ones."""

import sqlalchemy as sa

from db import engine
from db.engine import roles, shards
from db.models import OWNERS, Base

PARTITIONS = 4


def create_partitioned(url: str) -> None:
    """Create all tables, without policies, in an empty database that counts as distributed."""
    with engine.private_engine(url).begin() as connection:
        metadata = sa.MetaData()
        for table in Base.metadata.sorted_tables:
            copy = table.to_metadata(metadata)
            copy._prefixes = []  # partitioned tables cannot be unlogged
            copy.dialect_options["postgresql"]["with"] = {}  # partitioned tables have no pages
            copy.dialect_options["postgresql"]["partition_by"] = f"HASH ({OWNERS[table.name].name})"
        metadata.create_all(connection)
        for name in OWNERS:
            for number in range(PARTITIONS):
                connection.exec_driver_sql(
                    f"CREATE TABLE {name}_{number} PARTITION OF {name}"
                    f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
                )
        connection.exec_driver_sql(
            "CREATE FUNCTION delete_expired_keys(integer) RETURNS bigint RETURN 0::bigint"
        )
        for role in (roles.REQUEST, *shards.FUNCTIONS):
            connection.exec_driver_sql(shards.create_function(role))
        for role in roles.ALL:
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {role}")
            connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
