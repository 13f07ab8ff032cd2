"""Attachments, and messages that show them."""

from typing import Any

import httpx

from tests.calls import (
    Json,
    ids,
    messages_of,
    post_message,
)
from tests.contract import assert_problem

FILES = "/chat-attachments"
FILE: Json = {
    "filename": "lease-harbour-street.pdf",
    "file_url": "s3://lease-documents/2026/lease-harbour-street.pdf",
    "mime_type": "application/pdf",
    "size_bytes": 482133,
    "added_to_library": True,
    "library_document_id": "doc-7714",
    "parsed_content": "The monthly rent is 3,150 euros.",
}
UNSET: Json = {
    "mime_type": None,
    "size_bytes": None,
    "added_to_library": False,
    "library_document_id": None,
    "parsed_content": None,
}
HIDDEN = {"parsed_content", "conversation_id", "message_id"}
"""What a message does not show of its attachments."""
NOT_YOURS = "does not refer to an attachment of yours"
IN_A_MESSAGE = "belongs to a message already"
REPEATED = "is in the list twice"


def path_of(attachment: Json) -> str:
    return f"{FILES}/{attachment['id']}"


def shown(attachment: Json) -> Json:
    """Return what a message shows of an attachment."""
    return {name: value for name, value in attachment.items() if name not in HIDDEN}


def attach(client: httpx.Client, conversation: Json, *attachments: Json, **body: Any) -> Json:
    """Post a message with attachments."""
    return post_message(
        client, conversation, "See the files.", attachment_ids=ids(attachments), **body
    )


def send(client: httpx.Client, conversation: Json, *attachment_ids: Any) -> httpx.Response:
    body = {"role": "user", "content": "See the files.", "attachment_ids": attachment_ids}
    return client.post(messages_of(conversation), json=body)


def details(response: httpx.Response) -> dict[str, str]:
    """Return the errors of a 422 by their pointers."""
    return {each["pointer"]: each["detail"] for each in assert_problem(response, 422)["errors"]}
