"""What each write adds to the log."""

from tests.calls import change, new_attachment, new_run, post_message
from tests.change_log.conversation_writes import CONVERSATION_WRITES, Expected, Write
from tests.change_log.sending import conversation_of, message_of, rate, run_of, share
from tests.live.following import append, word
from tests.mirror import SETTINGS

WRITES: dict[str, tuple[Write, Expected]] = {
    **CONVERSATION_WRITES,
    "delete_message": (
        lambda client, rows: client.delete(f"/messages/{rows['message_id']}"),
        [("message.deleted", "conversation_id", "message_id")],
    ),
    "create_message": (
        lambda client, rows: post_message(client, {"id": rows["conversation_id"]}, "Hello"),
        [("message.created", "conversation_id", "new")],
    ),
    "update_message": (
        lambda client, rows: change(client, message_of(rows), content="Another"),
        [("message.updated", "conversation_id", "message_id")],
    ),
    "update_message with the same content": (
        lambda client, rows: [
            change(client, message_of(rows), content="Another") for _ in range(2)
        ],
        [("message.updated", "conversation_id", "message_id")],
    ),
    "update_message with nothing": (lambda client, rows: change(client, message_of(rows)), []),
    "set_feedback": (
        lambda client, rows: rate(client, rows, "up"),
        [("message.updated", "conversation_id", "message_id")],
    ),
    "set_feedback as before": (lambda client, rows: rate(client, rows, "down"), []),
    "delete_feedback": (
        lambda client, rows: client.delete(f"/messages/{rows['message_id']}/feedback"),
        [("message.updated", "conversation_id", "message_id")],
    ),
    "share_conversation": (
        lambda client, rows: share(client, rows["conversation_id"], "another member").json(),
        [("share.created", "conversation_id", "new")],
    ),
    "share_conversation with another role": (
        lambda client, rows: share(
            client, rows["conversation_id"], rows["user_id"], "editor"
        ).json(),
        [("share.updated", "conversation_id", "new")],
    ),
    "share_conversation as before": (
        lambda client, rows: share(client, rows["conversation_id"], rows["user_id"]).json(),
        [],
    ),
    "unshare_conversation": (
        lambda client, rows: [
            share(client, rows["conversation_id"], "another member").json(),
            client.delete(f"{conversation_of(rows)}/shares/another%20member"),
        ][0],
        [
            ("share.created", "conversation_id", "new"),
            ("share.deleted", "conversation_id", "new"),
        ],
    ),
    "create_link": (
        lambda client, rows: client.post(f"{conversation_of(rows)}/links", json={}).json(),
        [("link.created", "conversation_id", "new")],
    ),
    "delete_link": (
        lambda client, rows: client.delete(f"{conversation_of(rows)}/links/{rows['link_id']}"),
        [("link.deleted", "conversation_id", "link_id")],
    ),
    "create_chat_attachment": (
        lambda client, rows: new_attachment(client),
        [("chat_attachment.created", "none", "new")],
    ),
    "delete_chat_attachment": (
        lambda client, rows: client.delete(f"/chat-attachments/{rows['attachment_id']}"),
        [
            ("chat_attachment.deleted", "conversation_id", "attachment_id"),
            ("message.updated", "conversation_id", "message_id"),
        ],
    ),
    "create_run": (
        lambda client, rows: new_run(client, conversation_id=rows["conversation_id"]),
        [("run.created", "conversation_id", "new")],
    ),
    "create_run without a conversation": (
        lambda client, rows: new_run(client, status="running"),
        [("run.created", "none", "new")],
    ),
    "update_run": (
        lambda client, rows: change(client, run_of(rows), status="running"),
        [("run.updated", "conversation_id", "run_id")],
    ),
    "update_run with nothing": (lambda client, rows: change(client, run_of(rows)), []),
    "append_run_events": (
        lambda client, rows: append(client, {"id": rows["run_id"]}, word("a")),
        [],
    ),
    "cancel_run": (
        lambda client, rows: client.post(f"{run_of(rows)}/cancel"),
        [("run.updated", "conversation_id", "run_id")],
    ),
    "update_chat_settings": (
        lambda client, rows: client.put(SETTINGS, json={"model": "m"}),
        [("settings.updated", "none", "none")],
    ),
}
