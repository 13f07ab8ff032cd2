"""Tests that a query finds no rows of other users if its access rule is missing."""

import pytest
import sqlalchemy as sa

from db import access, models
from db.branches.pages import Selection
from db.engine import Connection
from db.messages import message_insertion, messages
from tests.db.row_security.owners import RowOwner
from tests.db.rows import message


def test_query_without_its_access_rule_finds_no_other_users_rows(
    connection: Connection,
    alice: RowOwner,
    bob: RowOwner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "CONVERSATION", sa.true())
    monkeypatch.setattr(access, "RUN", sa.true())
    monkeypatch.setattr(
        messages, "_this_conversation", models.conversations.c.id == messages._conversation
    )
    monkeypatch.setattr(message_insertion, "_this_conversation", messages._this_conversation)
    insert_message_anywhere = message_insertion.append()
    any_page = messages._select_page.__wrapped__(Selection(), or_membership=True)
    written = message(bob.ids["conversations"], alice.user)
    absent = dict.fromkeys((*models.messages.c.keys(), "title"))
    values = {f"new_{name}": value for name, value in (absent | written).items()} | {
        "of_conversation": bob.ids["conversations"],
        "new_id": models.new_id(),
        "change_id": models.new_id(),
        "preview": "Hello",
        "is_read": True,
        "new_terms": "",
    }

    for user, found in ((alice.user, False), (bob.user, True)):
        values |= {"acting_user": user}
        page = any_page.read(connection, values, limit=10, offset=0)
        assert (page is not None) is found
        assert (insert_message_anywhere.row(connection, values) is not None) is found
