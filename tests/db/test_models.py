"""Tests of the tables: constraints, defaults, and what is deleted together."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from sqlalchemy import Text, cast, exc, select
from sqlalchemy.orm import Session

from db import engine, models
from db.models import ChatAttachment, ChatSettings, Conversation, IdempotencyKey, Message, Run

Model = TypeVar("Model", bound=models.Base)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUIRED: dict[type[models.Base], dict[str, Any]] = {
    Conversation: {"title": "A title", "user_id": "u"},
    Message: {"role": "user", "content": "Hello", "position": 1},
    Run: {"agent_id": "a", "created_by": "u"},
    ChatAttachment: {"user_id": "u", "filename": "a.pdf", "file_url": "s3://a"},
    ChatSettings: {"user_id": "somebody with settings"},
    IdempotencyKey: {
        "user_id": "u",
        "key": "k",
        "fingerprint": bytes(32),
        "status": 201,
        "headers": {},
        "body": "",
        "expires_at": NOW,
    },
}
NOBODY = "00000000-0000-0000-0000-000000000000"
PREVIEW = {"last_message_role": "user", "last_message_content": "", "last_message_at": NOW}

REFUSED: dict[str, tuple[type[models.Base], dict[str, Any], str]] = {
    "empty title": (Conversation, {"title": ""}, "ck_conversations_title"),
    "empty user": (Conversation, {"user_id": ""}, "ck_conversations_user_id"),
    "list as metadata": (Conversation, {"metadata_": []}, "ck_conversations_metadata"),
    "negative count": (
        Conversation,
        {"message_count": -1, **PREVIEW},
        "ck_conversations_message_count",
    ),
    "count over position": (
        Conversation,
        {"message_count": 2, "last_position": 1, **PREVIEW},
        "ck_conversations_last_position",
    ),
    "incomplete preview": (
        Conversation,
        {"last_message_role": "user"},
        "ck_conversations_last_message",
    ),
    "count without preview": (
        Conversation,
        {"message_count": 1, "last_position": 1},
        "ck_conversations_last_message",
    ),
    "preview without count": (Conversation, PREVIEW, "ck_conversations_last_message"),
    "position zero": (Message, {"position": 0}, "ck_messages_position"),
    "object as attachments": (Message, {"attachments": {}}, "ck_messages_attachments"),
    "list as message metadata": (Message, {"metadata_": []}, "ck_messages_metadata"),
    "list as routing_decision": (Message, {"routing_decision": []}, "ck_messages_routing_decision"),
    "object as tool_calls": (Message, {"tool_calls": {}}, "ck_messages_tool_calls"),
    "attachment of nobody": (ChatAttachment, {"user_id": ""}, "ck_chat_attachments_user_id"),
    "empty filename": (ChatAttachment, {"filename": ""}, "ck_chat_attachments_filename"),
    "empty address": (ChatAttachment, {"file_url": ""}, "ck_chat_attachments_file_url"),
    "long address": (ChatAttachment, {"file_url": "u" * 8193}, "ck_chat_attachments_file_url"),
    "negative size": (ChatAttachment, {"size_bytes": -1}, "ck_chat_attachments_size_bytes"),
    "attachment of a message without a conversation": (
        ChatAttachment,
        {"message_id": NOBODY},
        "ck_chat_attachments_message_id",
    ),
    "attachment of an unknown conversation": (
        ChatAttachment,
        {"message_id": NOBODY, "conversation_id": NOBODY},
        "fk_chat_attachments_conversation_id",
    ),
    "unknown run": (Message, {"run_id": NOBODY}, "fk_messages_run_id"),
    "settings with empty user": (ChatSettings, {"user_id": ""}, "ck_chat_settings_user_id"),
    "temperature too low": (ChatSettings, {"temperature": -0.1}, "ck_chat_settings_temperature"),
    "temperature too high": (ChatSettings, {"temperature": 2.1}, "ck_chat_settings_temperature"),
    "temperature not a number": (
        ChatSettings,
        {"temperature": float("nan")},
        "ck_chat_settings_temperature",
    ),
    "max_tokens too low": (ChatSettings, {"max_tokens": 0}, "ck_chat_settings_max_tokens"),
    "max_tokens too high": (ChatSettings, {"max_tokens": 32001}, "ck_chat_settings_max_tokens"),
    "null as tool": (ChatSettings, {"enabled_tools": [None]}, "ck_chat_settings_enabled_tools"),
    "null as agent": (ChatSettings, {"enabled_agents": [None]}, "ck_chat_settings_enabled_agents"),
    "run with empty user": (Run, {"created_by": ""}, "ck_runs_created_by"),
    "list as input": (Run, {"input": []}, "ck_runs_input"),
    "string as output": (Run, {"output": "text"}, "ck_runs_output"),
    "running, not started": (Run, {"status": "running"}, "ck_runs_started_at"),
    "pending, started": (Run, {"started_at": NOW}, "ck_runs_started_at"),
    "failed, not finished": (Run, {"status": "failed"}, "ck_runs_finished_at"),
    "pending, finished": (Run, {"finished_at": NOW}, "ck_runs_finished_at"),
    "key with empty user": (IdempotencyKey, {"user_id": ""}, "ck_idempotency_keys_user_id"),
    "empty key": (IdempotencyKey, {"key": ""}, "ck_idempotency_keys_key"),
    "short fingerprint": (
        IdempotencyKey,
        {"fingerprint": bytes(16)},
        "ck_idempotency_keys_fingerprint",
    ),
    "error status": (IdempotencyKey, {"status": 404}, "ck_idempotency_keys_status"),
    "list as headers": (IdempotencyKey, {"headers": []}, "ck_idempotency_keys_headers"),
    "response of unknown conversation": (
        IdempotencyKey,
        {"conversation_id": NOBODY},
        "fk_idempotency_keys_conversation_id",
    ),
    "run of unknown conversation": (Run, {"conversation_id": NOBODY}, "fk_runs_conversation_id"),
}

TOO_LONG: dict[str, tuple[type[models.Base], dict[str, Any]]] = {
    "title": (Conversation, {"title": "t" * 256}),
    "user": (Conversation, {"user_id": "u" * 256}),
    "filename": (ChatAttachment, {"filename": "f" * 256}),
    "mime_type": (ChatAttachment, {"mime_type": "m" * 256}),
    "document": (ChatAttachment, {"library_document_id": "d" * 256}),
    "source": (Conversation, {"source": "s" * 51}),
    "model": (Conversation, {"model": "m" * 256}),
    "agent": (Conversation, {"agent_id": "a" * 256}),
    "preview": (Conversation, {**PREVIEW, "last_message_content": "p" * 101}),
}


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    with engine.private_engine(database_url).connect() as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as opened:
            yield opened
        connection.rollback()


def make(session: Session, model: type[Model], /, **given: Any) -> Model:
    if model is Message and "conversation" not in given:
        given["conversation"] = make(session, Conversation)
    row = model(**{**REQUIRED[model], **given})
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def error_of(session: Session, model: type[models.Base], given: dict[str, Any]) -> str:
    try:
        with session.begin_nested():
            make(session, model, **given)
    except exc.StatementError as error:
        return str(error)
    return "accepted"


def test_constraints_refuse_invalid_rows(session: Session) -> None:
    wrong = {}
    for name, (model, given, constraint) in REFUSED.items():
        error = error_of(session, model, given)
        if f'"{constraint}"' not in error:
            wrong[name] = error

    assert wrong == {}


def test_columns_refuse_too_long_values(session: Session) -> None:
    errors = {name: error_of(session, *row) for name, row in TOO_LONG.items()}

    assert {name: error for name, error in errors.items() if "too long" not in error} == {}


def test_enums_refuse_unknown_values(session: Session) -> None:
    assert "accepted" not in {
        error_of(session, Message, {"role": "nonsense"}),
        error_of(session, Run, {"status": "nonsense"}),
    }


def test_position_is_unique_in_a_conversation(session: Session) -> None:
    first = make(session, Message)

    with pytest.raises(exc.IntegrityError, match="idx_messages_conversation_id"):
        make(session, Message, conversation=first.conversation, position=first.position)


def test_settings_are_unique_per_user(session: Session) -> None:
    make(session, ChatSettings)

    with pytest.raises(exc.IntegrityError, match="pk_chat_settings"):
        make(session, ChatSettings)


def test_columns_have_defaults(session: Session) -> None:
    row = make(session, Conversation)
    settings = make(session, ChatSettings)

    assert (row.message_count, row.last_position) == (0, 0)
    assert (row.is_private, row.auto_title) == (False, False)
    assert row.created_at == row.updated_at
    assert row.created_at.tzinfo is not None
    assert make(session, Run).status == "pending"
    assert (settings.temperature, settings.max_tokens, settings.model) == (0.7, 2000, None)
    assert settings.enabled_tools == settings.enabled_agents == []


def test_absent_json_value_is_sql_null(session: Session) -> None:
    row = make(session, Conversation, metadata_=None)

    found = session.scalars(select(Conversation.id).where(Conversation.metadata_.is_(None)))

    assert row.id in found.all()


def test_deleting_a_conversation_deletes_its_messages(session: Session) -> None:
    row = make(session, Message)
    session.expire_all()

    session.delete(row.conversation)
    session.flush()

    assert session.scalar(select(Message).where(Message.id == row.id)) is None


def test_deleting_a_conversation_keeps_its_runs(session: Session) -> None:
    row = make(session, Conversation)
    linked = make(session, Run, conversation_id=row.id)

    session.delete(row)
    session.flush()
    session.refresh(linked)

    assert linked.conversation_id is None


def test_run_with_messages_cannot_be_deleted(session: Session) -> None:
    linked = make(session, Run)
    row = make(session, Message, run_id=linked.id)
    assert row.run is linked

    session.delete(linked)
    with pytest.raises(exc.IntegrityError, match="fk_messages_run_id"):
        session.flush()


def test_size_counts_the_bytes_of_texts_and_json(session: Session) -> None:
    row = make(session, Message, content="é", metadata_={"a": "b"}, tool_calls=[])

    assert row.size == len("é".encode()) + len('{"a": "b"}') + len("[]")


def test_json_keeps_the_order_of_keys_and_large_numbers(session: Session) -> None:
    row = make(session, Conversation, metadata_={"b": 1e308, "a": 1})

    stored = session.scalar(
        select(cast(Conversation.metadata_, Text)).where(Conversation.id == row.id)
    )

    assert stored == '{"b": 1e+308, "a": 1}'


def test_messages_are_ordered_by_position(session: Session) -> None:
    row = make(session, Conversation)
    for position in (3, 1, 2):
        make(session, Message, conversation=row, position=position)
    session.expire_all()

    assert [each.position for each in row.messages] == [1, 2, 3]


def test_new_id_is_an_increasing_uuid_7() -> None:
    ids = [models.new_id() for _ in range(1000)]

    assert ids == sorted(ids)
    assert {each[14] for each in ids} == {"7"}
