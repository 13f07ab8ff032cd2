"""Bearer tokens: from an Authorization header to a Principal, without the database."""
