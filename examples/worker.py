# A fake agent, which echoes. The token needs runs:work: API=... TOKEN=... python worker.py
import os
import time
import uuid
from typing import Any

import httpx

token = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
api = httpx.Client(base_url=os.environ["API"], headers=token, timeout=60)


def send(method: str, path: str, lease: str = "", **more: Any) -> Any:
    headers = {"Run-Lease": lease, "Idempotency-Key": str(uuid.uuid4())} if lease else {}
    while True:
        try:
            response = api.request(method, path, headers=headers, **more)
            if response.status_code < 500 and "Retry-After" not in response.headers:
                return response.raise_for_status().json() if response.content else None
        except httpx.TransportError as error:
            print("trying again:", error)
        time.sleep(1)


wanted = {"agent_ids": [os.environ.get("AGENT", "document-agent")], "wait_seconds": 20}
while True:
    if not (claim := send("POST", "/runs/claim", json=wanted)):
        continue
    run, lease, said, status = claim["run"], claim["lease"], "", "succeeded"
    page = send("GET", f"/conversations/{run['conversation_id']}/messages?order=desc", lease)
    for word in next(m["content"] for m in page["messages"] if m["role"] == "user").split(" "):
        event = {"type": "text.delta", "data": {"text": f"{word} "}, "transient": True}
        send("POST", f"/runs/{run['id']}/events", lease, json={"events": [event]})
        said += f"{word} "
        time.sleep(0.1)
        if send("POST", f"/runs/{run['id']}/heartbeat", lease)["cancel_requested_at"]:
            status = "cancelled"
            break
    body = {"status": status, "message": {"role": "assistant", "content": said}}
    send("PATCH", f"/runs/{run['id']}", lease, json=body)
