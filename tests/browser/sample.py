"""A user's data as it could be in the product, to look at and to check."""

from typing import Any

import httpx

from tests.calls import new_attachment
from tests.servers import Server

ANSWER = """South grew fastest, by **14 %**. The quarter in figures:

| Region | Revenue | Growth |
|---|--:|--:|
| South | 4.2 m | 14 % |
| North | 5.1 m | 6 % |
| West | 3.8 m | 2 % |

1. The new harbour contracts count for *two thirds* of it.
2. Prices rose by 3 % in all regions, see [the report](https://example.org/report).

```sql
SELECT region, sum(amount) FROM sales GROUP BY region ORDER BY 2 DESC;
```

> Growth is compared with the same quarter of last year.
"""
TITLES = (
    "Lease offers for the harbour office",
    "Translate the safety notice into Portuguese",
    "Why did the import fail last night?",
    "Packing list for Lisbon",
    "Summary of the board meeting",
    "Unit tests for the invoice parser",
    "Ideas for the team day",
    "Reply to the supplier",
)


def create(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    """Create something, and return it."""
    response = client.post(path, json=body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def fill(maria: httpx.Client, server: Server) -> dict[str, Any]:
    """Give the user a list of conversations; return one with all that a message can show."""
    for number, title in enumerate(reversed(TITLES)):
        each = create(maria, "/conversations", title=title, agent_id="analyst")
        path = f"/conversations/{each['id']}"
        create(maria, f"{path}/messages", role="user", content=f"{title}, please.")
        create(maria, f"{path}/messages", role="assistant", content="Here is a first draft.")
        if number % 3:
            maria.put(f"{path}/read")
    with server.client("colleague-of-maria") as colleague:
        shared = create(colleague, "/conversations", title="Plan of the move", agent_id="analyst")
        path = f"/conversations/{shared['id']}"
        create(colleague, f"{path}/messages", role="user", content="Who takes the plants?")
        user = maria.get("/users/me/chat-settings").json()["user_id"]
        create(colleague, f"{path}/shares", user_id=user, role="editor")
    return _fill_one(maria)


def _fill_one(maria: httpx.Client) -> dict[str, Any]:
    title = "Which region grew fastest?"
    conversation = create(maria, "/conversations", title=title, agent_id="analyst")
    path = f"/conversations/{conversation['id']}"
    maria.patch(path, json={"tags": ["sales", "quarterly report"], "pinned": True})
    file = new_attachment(
        maria, filename="sales-q3.csv", mime_type="text/csv", file_url="https://example.org/sales"
    )
    create(
        maria,
        f"{path}/messages",
        role="user",
        content="Which region grew fastest this quarter? The figures are attached.",
        attachment_ids=[file["id"]],
    )
    create(
        maria,
        f"{path}/messages",
        role="assistant",
        content=ANSWER,
        tool_calls=[
            {
                "tool_name": "sql",
                "success": True,
                "output": {"rows": 3},
                "query": "SELECT region, sum(amount) FROM sales",
            }
        ],
        routing_decision={"selected_tools": ["sql"], "selected_agents": ["analyst"]},
    )
    question = create(maria, f"{path}/messages", role="user", content="And next year?")
    answers = [
        create(
            maria, f"{path}/messages", role="assistant", content=content, parent_id=question["id"]
        )
        for content in (
            "I expect South to stay ahead, with about 9 %.",
            "South again, if the second harbour opens in spring.",
        )
    ]
    maria.put(f"/messages/{answers[1]['id']}/feedback", json={"rating": "up"})
    maria.put(f"{path}/read")
    return conversation
