"""Maps messages of PostgreSQL, libpq and PgBouncer to what an operator can do."""

from db.errors import Failure, describe

# The first entry whose key occurs in the message applies.
_ADVICE = {
    "remote node": "Start PostgreSQL on this node, and look at its log.",  # of Citus
    "password authentication failed": "Correct the user or the password in the database URL.",
    "no password supplied": "Add the password to the database URL, or a passfile.",
    "no pg_hba.conf entry": "Allow this host, user and database in pg_hba.conf of PostgreSQL.",
    "does not exist": "Create the database and the user: see the page Production.",
    "no such database": "Add the database to [databases] in pgbouncer.ini.",
    "unsupported startup parameter": "Add ignore_startup_parameters = extra_float_digits,options to"
    " pgbouncer.ini.",
    "too many clients": "Raise max_connections of PostgreSQL, or lower AGENT_API_POOL_SIZE.",
    "remaining connection slots": "Raise max_connections of PostgreSQL, or lower"
    " AGENT_API_POOL_SIZE.",
    "too many connections": "Raise the connection limit of the role or database, or lower"
    " AGENT_API_POOL_SIZE.",
    "could not translate host name": "Correct the host in the database URL, or the name server.",
    "Connection refused": "Start PostgreSQL, or correct host and port in the database URL.",
    "No such file or directory": "Start PostgreSQL, or correct the socket folder in the database"
    " URL.",
    "timeout expired": "The host does not answer: look for a firewall, or a server that hangs.",
    "no answer within": "The server does not answer: look at its load, and for locks.",
    "SSL": "Correct sslmode, sslrootcert and sslcert in the database URL.",
    "certificate": "Correct sslmode, sslrootcert and sslcert in the database URL.",
    "starting up": "Wait until PostgreSQL has started.",
    "shutting down": "Start PostgreSQL.",
    "statement timeout": "Another session holds a lock, or the server is busy: look at"
    " pg_stat_activity.",
}


def advice_for(failure: Failure) -> str:
    """Return what to do about a failure to connect, or to execute a statement.

    Messages in another language than English (`lc_messages`) get the general advice.
    """
    message = describe(failure)
    found = (text for reason, text in _ADVICE.items() if reason in message)
    return next(found, "Try psql with the same URL; see the page PostgreSQL.")
