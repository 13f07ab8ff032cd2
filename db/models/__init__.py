"""Defines the tables with their constraints and indexes."""

from typing import cast

from sqlalchemy import Table

from db.models.attachments import ChatAttachment
from db.models.base import (
    MAX_LINKS,
    MAX_MEMBERS,
    MAX_TAGS,
    MEMBER_ROLES,
    PREVIEW_CHARACTERS,
    ROLES,
    STATUSES,
    Base,
    Id,
    Json,
    MessageRole,
    Moment,
    RunStatus,
    new_id,
)
from db.models.conversations import Conversation, Message
from db.models.links import Link, PublishedConversation
from db.models.message_versions import MessageVersion
from db.models.organising import (
    ConversationAgent,
    ConversationTag,
    MembershipAgent,
    MembershipTag,
)
from db.models.runs import Run, RunEvent, RunLease, RunQueue
from db.models.search import MessageTerms
from db.models.sharing import Membership, Share
from db.models.users import Change, ChangePosition, ChatSettings, IdempotencyKey, RateLimit

conversations = cast(Table, Conversation.__table__)
messages = cast(Table, Message.__table__)
message_versions = cast(Table, MessageVersion.__table__)
chat_attachments = cast(Table, ChatAttachment.__table__)
conversation_tags = cast(Table, ConversationTag.__table__)
conversation_agents = cast(Table, ConversationAgent.__table__)
membership_tags = cast(Table, MembershipTag.__table__)
membership_agents = cast(Table, MembershipAgent.__table__)
message_terms = cast(Table, MessageTerms.__table__)
chat_settings = cast(Table, ChatSettings.__table__)
runs = cast(Table, Run.__table__)
run_events = cast(Table, RunEvent.__table__)
changes = cast(Table, Change.__table__)
change_positions = cast(Table, ChangePosition.__table__)
run_queue = cast(Table, RunQueue.__table__)
run_leases = cast(Table, RunLease.__table__)
idempotency_keys = cast(Table, IdempotencyKey.__table__)
rate_limits = cast(Table, RateLimit.__table__)
shares = cast(Table, Share.__table__)
links = cast(Table, Link.__table__)
published_conversations = cast(Table, PublishedConversation.__table__)
memberships = cast(Table, Membership.__table__)

_OWNER_COLUMNS = {
    "runs": "created_by",
    "run_queue": "agent_id",
    "published_conversations": "secret_hash",
}
OWNERS = {
    table.name: table.c[_OWNER_COLUMNS.get(table.name, "user_id")]
    for table in Base.metadata.sorted_tables
}
"""The column of each table that contains the row's owner: in the queue the agent, and for a
snapshot the hash of its secret."""

__all__ = [
    "MAX_LINKS",
    "MAX_MEMBERS",
    "MAX_TAGS",
    "MEMBER_ROLES",
    "OWNERS",
    "PREVIEW_CHARACTERS",
    "ROLES",
    "STATUSES",
    "Base",
    "Change",
    "ChangePosition",
    "ChatAttachment",
    "ChatSettings",
    "Conversation",
    "ConversationAgent",
    "ConversationTag",
    "Id",
    "IdempotencyKey",
    "Json",
    "Link",
    "Membership",
    "MembershipAgent",
    "MembershipTag",
    "Message",
    "MessageRole",
    "MessageTerms",
    "MessageVersion",
    "Moment",
    "PublishedConversation",
    "RateLimit",
    "Run",
    "RunEvent",
    "RunLease",
    "RunQueue",
    "RunStatus",
    "Share",
    "change_positions",
    "changes",
    "chat_attachments",
    "chat_settings",
    "conversation_agents",
    "conversation_tags",
    "conversations",
    "idempotency_keys",
    "links",
    "membership_agents",
    "membership_tags",
    "memberships",
    "message_terms",
    "message_versions",
    "messages",
    "new_id",
    "published_conversations",
    "rate_limits",
    "run_events",
    "run_leases",
    "run_queue",
    "runs",
    "shares",
]
