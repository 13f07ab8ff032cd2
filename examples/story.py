# Use the generated client: API=http://127.0.0.1:8000 TOKEN=... python story.py
import os
import uuid

from agent_api_client import AuthenticatedClient, models
from agent_api_client.api.conversations import create_conversation
from agent_api_client.api.messages import create_message, list_messages
from agent_api_client.api.runs import create_run, update_run

api = AuthenticatedClient(os.environ["API"], token=os.environ["TOKEN"])
made = create_conversation.sync(client=api, body=models.ConversationCreate(source="example"))
run = create_run.sync(client=api, body=models.RunCreate("document-agent", status="running"))
assert isinstance(made, models.Conversation) and isinstance(run, models.Run), (made, run)
file = models.Attachment("a.pdf", "application/pdf", "s3://leases/a.pdf", 482133)
body = models.MessageCreate("user", "Which lease costs less?", attachments=[file])
key = str(uuid.uuid4())  # a new key for each new message
for _ in range(2):  # the retry returns the first answer and creates nothing
    create_message.sync(made.id, client=api, body=body, idempotency_key=key)
choice = models.DispatcherResponse.from_dict({"selected_tools": ["search"], "confidence": 0.92})
body = models.MessageCreate("assistant", "Harbour Street.", run_id=run.id, routing_decision=choice)
create_message.sync(made.id, client=api, body=body)
update_run.sync(run.id, client=api, body=models.RunUpdate(status="succeeded"))
page = list_messages.sync(made.id, client=api, limit=1)
while isinstance(page, models.MessagePage):
    print(*[f"{message.role}\n{message.content}" for message in page.messages], sep="\n")
    if page.next_cursor is None:
        break
    page = list_messages.sync(made.id, client=api, limit=1, cursor=page.next_cursor)
problem = update_run.sync(run.id, client=api, body=models.RunUpdate(status="running"))
print(problem.detail if isinstance(problem, models.Problem) else problem)
