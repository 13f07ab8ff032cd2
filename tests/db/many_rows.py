"""Fills a database with 180,000 rows, for which the planner prefers indexes."""

import psycopg2

# One user has 6,000 conversations and 6,000 runs, few of them with rare values; 800 users have 30
# each. One conversation has 6,000 messages, 1,500 have 16 each. Each conversation has one member:
# one of the 800 users is a member of 600, among them those with rare values, and 300 others of the
# rest.
ROWS = """
INSERT INTO conversations (id, title, user_id, source, agent_id, created_at, updated_at,
                           message_count, last_position, last_message_role, last_message_content,
                           last_message_at, archived, pinned, tags)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'A title',
       CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END,
       CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'web' END,
       CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'common' END,
       timestamptz '2026-01-01Z' - n * interval '1 minute',
       timestamptz '2026-01-01Z' - n * interval '50 seconds', count, count,
       CASE WHEN count > 0 THEN 'user'::message_role END, CASE WHEN count > 0 THEN 'Hello' END,
       CASE WHEN count > 0 THEN timestamptz '2026-01-01Z' END,
       n % 500 = 250, n % 1000 = 400,
       CASE WHEN n % 500 = 5 THEN '{common,rare}'::varchar[] ELSE '{common}' END
FROM (SELECT n, CASE WHEN n = 0 THEN 6000 WHEN n <= 1500 THEN 16 ELSE 0 END AS count
      FROM generate_series(0, 29999) AS n) AS s;

INSERT INTO conversation_tags (conversation_id, user_id, tag)
SELECT id, user_id, unnest(tags) FROM conversations;

INSERT INTO conversation_agents (conversation_id, user_id, agent_id)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END,
       CASE WHEN n % 500 = 10 THEN 'routed' ELSE 'dispatched' END
FROM generate_series(0, 29999) AS n;

INSERT INTO runs (id, agent_id, conversation_id, status, created_by, created_at, started_at,
                  finished_at)
SELECT ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
       CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'common' END,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       (CASE WHEN n % 1000 = 0 THEN 'running' ELSE 'succeeded' END)::run_status,
       CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END,
       moment, moment, CASE WHEN n % 1000 <> 0 THEN moment END
FROM (SELECT n, timestamptz '2026-01-01Z' - n * interval '1 minute' AS moment
      FROM generate_series(0, 29999) AS n) AS s;

INSERT INTO messages (conversation_id, user_id, position, role, content, run_id)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(of), 12, '0'))::uuid,
       CASE WHEN of % 5 = 0 THEN 'user' ELSE 'user-' || of % 1000 END, position, 'user', 'Hello',
       CASE WHEN n % 10 = 0
       THEN ('00000000-0000-7000-9000-' || lpad(to_hex(of), 12, '0'))::uuid END
FROM (SELECT n, 0 AS of, n AS position FROM generate_series(1, 6000) AS n
      UNION ALL
      SELECT n, 1 + n % 1500, 1 + n / 1500 FROM generate_series(0, 23999) AS n) AS s;

INSERT INTO shares (conversation_id, user_id, member_id, role)
SELECT id, user_id, CASE WHEN n % 50 = 0 THEN 'user-1' ELSE 'member-' || n % 300 END, 'editor'
FROM (SELECT *, (extract(epoch FROM timestamptz '2026-01-01Z' - created_at) / 60)::int AS n
      FROM conversations) AS s;

INSERT INTO memberships (conversation_id, user_id, owner_id, share_id, role, shared_at, created_at,
                         updated_at, source, agent_id)
SELECT conversation_id, member_id, shares.user_id, shares.id, shares.role, shares.created_at,
       conversations.created_at, updated_at, source, agent_id
FROM shares JOIN conversations ON conversations.id = conversation_id;
INSERT INTO chat_attachments (id, user_id, filename, file_url, added_to_library, conversation_id,
                              message_id, created_at)
SELECT ('00000000-0000-7000-a000-' || lpad(to_hex(n), 12, '0'))::uuid,
       CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END, 'a.pdf', 's3://a',
       n % 1000 = 0,
       CASE WHEN n % 2 = 0
       THEN ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid END,
       CASE WHEN n % 2 = 0 THEN gen_random_uuid() END,
       timestamptz '2026-01-01Z' - n * interval '1 minute'
FROM generate_series(0, 29999) AS n;

INSERT INTO links (conversation_id, user_id, secret_hash, with_attachments)
SELECT id, user_id, encode(sha256(id::text::bytea), 'hex'), false FROM conversations;

INSERT INTO published_conversations (secret_hash, snapshot) SELECT secret_hash, '{}' FROM links;

INSERT INTO chat_settings (user_id) SELECT 'user-' || n FROM generate_series(1, 3000) AS n;

INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body, conversation_id,
                              expires_at)
SELECT CASE WHEN n % 5 = 0 THEN 'user' ELSE 'user-' || n % 1000 END, n, sha256(''), 201, '{}', '{}',
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       now() + (n - 1500) * interval '1 second'
FROM generate_series(0, 14999) AS n;

INSERT INTO membership_tags (conversation_id, user_id, tag)
SELECT conversation_id, user_id, 'common' FROM memberships
UNION ALL
SELECT gen_random_uuid(), 'user-' || n % 1000, 'common' FROM generate_series(0, 9999) AS n;

INSERT INTO membership_agents (conversation_id, user_id, agent_id)
SELECT conversation_id, user_id, 'dispatched' FROM memberships
UNION ALL
SELECT gen_random_uuid(), 'user-' || n % 1000, 'dispatched' FROM generate_series(0, 9999) AS n;
"""


def insert_many(url: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        # Checking foreign keys and maintaining indexes would take longer than inserting the rows.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'idx%'")
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute(ROWS)
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE")
    connection.close()
