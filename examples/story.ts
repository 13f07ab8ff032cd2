// Use the generated client: API=http://127.0.0.1:8000 TOKEN=... node story.ts
import * as api from 'agent-api-client';

api.client.setConfig({ baseUrl: process.env.API!, auth: process.env.TOKEN! });
const made = await api.createConversation({ body: { source: 'example' }, throwOnError: true });
const path = { conversation_id: made.data.id };
const file = { name: 'a.pdf', type: 'application/pdf', url: 's3://leases/a.pdf', size: 482133 };
const content = 'Which lease costs less?';
const question = { role: 'user' as const, content, attachments: [file] };
const headers = { 'Idempotency-Key': crypto.randomUUID() }; // a new key for each message
await api.createMessage({ path, headers, body: question });
await api.createMessage({ path, headers, body: question }); // a retry creates nothing
const body = { agent_id: 'document-agent', status: 'running' } as const;
const run_id = (await api.createRun({ body, throwOnError: true })).data.id;
const routing_decision = { selected_tools: ['search'], confidence: 0.92 };
await api.createMessage({
  path,
  body: { role: 'assistant', content: 'Harbour Street.', run_id, routing_decision },
});
await api.updateRun({ path: { run_id }, body: { status: 'succeeded' } });

let cursor: string | null | undefined;
do {
  const query = { limit: 1, ...(cursor ? { cursor } : {}) };
  const { data } = await api.listMessages({ path, query, throwOnError: true });
  for (const message of data.messages) console.log(`${message.role}\n${message.content}`);
  cursor = data.next_cursor;
} while (cursor);
const { error } = await api.updateRun({ path: { run_id }, body: { status: 'running' } });
console.log(error?.detail); // a Problem, typed
