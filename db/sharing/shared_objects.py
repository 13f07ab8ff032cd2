"""Reads what a member's change log names: shared conversations, and messages in them.

They are on their owners' nodes, so each conversation is read by itself, under a grant.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access
from db.documents import CONVERSATION, Document
from db.engine import Connection, MemberGrant, acting_under, bridge
from db.engine.statement import Statement
from db.messages.message_documents import MESSAGE
from db.models import Id, conversations, messages
from db.sharing import memberships

Resource = tuple[str, str | None]
"""`conversation` or `message`, and its id."""

_DOCUMENTS = {"conversation": CONVERSATION, "message": MESSAGE}
_conversation = sa.bindparam("of_conversation", type_=Id)
_ids: sa.BindParameter[Any] = sa.bindparam("ids", type_=sa.ARRAY(Id))
_OF_CONVERSATION = {
    "conversation": sa.and_(conversations.c.id == _conversation, access.CONVERSATION),
    "message": sa.and_(
        messages.c.conversation_id == _conversation,
        messages.c.id == sa.any_(_ids),
        access.MESSAGE,
    ),
}


def _sizes() -> Statement:
    parts = [
        sa.select(sa.literal_column(f"'{name}'"), document.table.c.id, document.size).where(
            _OF_CONVERSATION[name]
        )
        for name, document in _DOCUMENTS.items()
    ]
    return Statement(sa.union_all(*parts))


_select_sizes = _sizes()
_select_rows = {
    name: Statement(sa.select(document.table.c.id, *document.columns).where(_OF_CONVERSATION[name]))
    for name, document in _DOCUMENTS.items()
}


class Shared(NamedTuple):
    """A shared conversation or a message in it: how the member may read it, and its size."""

    grant: MemberGrant
    size: int


def select_sizes(
    connection: Connection, *, member_id: str, named: Iterable[tuple[str, Resource]]
) -> dict[Resource, Shared]:
    """Return those of the objects that are shared with the user. They are given with the id of
    their conversation.
    """
    by_conversation: dict[str, list[str]] = {}
    for conversation_id, (_, row_id) in named:
        by_conversation.setdefault(conversation_id, []).append(str(row_id))
    shared: dict[Resource, Shared] = {}
    if not by_conversation:
        return shared
    found = memberships.select_some(
        connection, conversation_ids=list(by_conversation), member_id=member_id
    )
    for conversation_id, membership in found.items():
        grant = MemberGrant(
            membership.owner_id,
            conversation_id,
            member_id,
            membership.role,
            access.READ,
            view=membership.view,
        )
        values = _values(grant, by_conversation[conversation_id])
        with acting_under(grant):
            for kind, row_id, size in _select_sizes.rows(connection, values):
                shared[kind, row_id] = Shared(grant, size)
    return shared


def select_tags(
    connection: Connection, shared: Mapping[Resource, Shared], tag: Callable[[bytes], str]
) -> dict[Resource, str]:
    """Return the ETags of the objects, which are those of the member's own GET."""
    groups: dict[tuple[str, str], list[Resource]] = {}
    for resource, (grant, _) in shared.items():
        groups.setdefault((resource[0], grant.conversation_id), []).append(resource)
    tags: dict[Resource, str] = {}
    for (kind, _), resources in groups.items():
        grant = shared[resources[0]].grant
        size = sum(shared[resource].size for resource in resources)
        values = _values(grant, [str(row_id) for _, row_id in resources])
        with acting_under(grant):
            rows = _select_rows[kind].rows(connection, values)
        # A conversation's document ends with what its reader sees.
        more = (grant.view,) if kind == "conversation" else ()
        tags |= bridge.off_loop(size, _tags_of, kind, _DOCUMENTS[kind], rows, more, tag)
    return tags


def _values(grant: MemberGrant, ids: list[str]) -> dict[str, Any]:
    return {"of_conversation": grant.conversation_id, "acting_user": grant.owner_id, "ids": ids}


def _tags_of(
    kind: str,
    document: Document,
    rows: Sequence[Sequence[Any]],
    more: Sequence[Any],
    tag: Callable[[bytes], str],
) -> dict[Resource, str]:
    return {(kind, row[0]): tag(document.write([*row[1:], *more])) for row in rows}
