"""How many statements a change of many conversations takes."""

from db import engine
from db.organising import bulk
from tests.db.rows import insert_conversation, share, traced


def test_delete_of_shared_conversations_tells_members_with_few_statements(
    configured: None, user: str
) -> None:
    """Otherwise 500 conversations take more than 1,000 messages in one transaction."""
    counts = {}
    for number in (1, 10):
        with engine.transaction() as connection:
            made = [insert_conversation(connection, user) for _ in range(number)]
            for conversation_id in made:
                share(connection, conversation_id, user, f"{user} member")
        with traced() as trace, engine.transaction() as connection:
            bulk.update(connection, user_id=user, action="delete", given_tags=[], ids=made)
        counts[number] = len(trace)

    assert counts[10] == counts[1]
