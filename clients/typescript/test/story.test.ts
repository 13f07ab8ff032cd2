// A story through the generated TypeScript client, on the live server at $API and the mock at $MOCK.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  activateMessage,
  appendRunEvents,
  bulkUpdateConversations,
  cancelRun,
  claimRun,
  createChatAttachment,
  createConversation,
  createLink,
  createMessage,
  createRun,
  deleteChatAttachment,
  deleteConversation,
  deleteFeedback,
  deleteLink,
  deleteMessage,
  forkConversation,
  getChatAttachment,
  getChatSettings,
  getConversation,
  getHealth,
  getMessage,
  getReadiness,
  getRun,
  getSharedConversation,
  heartbeatRun,
  listChanges,
  listChatAttachments,
  listConversations,
  listLinks,
  listMessages,
  listMessageVersions,
  listRunEvents,
  listRuns,
  listShares,
  markConversationRead,
  search,
  setFeedback,
  shareConversation,
  streamChanges,
  streamRunEvents,
  unshareConversation,
  updateChatSettings,
  updateConversation,
  updateMessage,
  updateRun,
  type AgenticRoutingDecision,
  type FlatRoutingDecision,
  type Message,
  type MessageCreate,
  type NestedRoutingDecision,
  type Problem,
  type ValidationProblem,
} from 'agent-api-client';
import { createClient, createConfig, type Client } from 'agent-api-client/client';

const { API, MOCK, TOKEN, OTHER_TOKEN } = process.env as Record<string, string>;
const NOBODYS_ID = '019cadd3-0000-7000-8000-000000000000';

function clientOf(baseUrl: string | undefined, token: string | undefined): Client {
  assert.ok(baseUrl && token, 'API, MOCK, TOKEN and OTHER_TOKEN must be set');
  return createClient(createConfig({ baseUrl, auth: token }));
}

const maria = clientOf(API, TOKEN);
const bob = clientOf(API, OTHER_TOKEN);
const mock = clientOf(MOCK, 'any');

/** Returns the data of an answer, which must not be an error. */
function ok<T>(answer: { data?: T; error?: unknown }): NonNullable<T> {
  assert.equal(answer.error, undefined);
  assert.ok(answer.data);
  return answer.data;
}

/** Returns the error of an answer, which must be one. */
function failed<E>(answer: { error?: E }): NonNullable<E> {
  assert.ok(answer.error);
  return answer.error;
}

async function newConversation(): Promise<string> {
  return ok(await createConversation({ client: maria })).id;
}

async function say(conversation_id: string, message: Partial<MessageCreate>): Promise<Message> {
  const body: MessageCreate = { role: 'user', content: 'Hello', ...message };
  return ok(await createMessage({ client: maria, path: { conversation_id }, body }));
}

test('the whole story', async () => {
  const created = await createConversation({
    client: maria,
    body: { source: 'agent-manager', agent_id: 'document-agent', metadata: { team: 'facilities' } },
  });
  const conversation = ok(created);
  const path = { conversation_id: conversation.id };
  assert.equal(created.response?.status, 201);
  assert.equal(created.response.headers.get('Location'), `/conversations/${conversation.id}`);
  assert.equal(conversation.metadata?.['team'], 'facilities');
  assert.equal(conversation.model, null);
  assert.equal(conversation.last_message, null);
  assert.ok(Math.abs(conversation.created_at.getTime() - Date.now()) < 60_000);

  const question = await say(conversation.id, {
    content: 'Which lease costs less?',
    attachments: [
      { name: 'lease.pdf', type: 'application/pdf', url: 's3://leases/lease.pdf', size: 482133 },
    ],
  });
  assert.equal(question.attachments?.[0]?.size, 482133);

  const pending = ok(
    await createRun({
      client: maria,
      body: {
        agent_id: 'document-agent',
        conversation_id: conversation.id,
        input: { message_id: question.id },
      },
    }),
  );
  assert.deepEqual([pending.status, pending.started_at, pending.finished_at], ['pending', null, null]);
  const run_id = pending.id;
  const running = ok(await updateRun({ client: maria, path: { run_id }, body: { status: 'running' } }));
  assert.ok(running.started_at instanceof Date);

  const decision: FlatRoutingDecision = { selected_tools: ['search'], confidence: 0.92 };
  const answer = await say(conversation.id, {
    role: 'assistant',
    content: 'Harbour Street does.',
    run_id,
    routing_decision: decision,
    tool_calls: [{ tool_name: 'search', success: true, output: { rent: 3150 } }],
  });
  assert.equal(answer.run_id, run_id);
  assert.deepEqual(answer.routing_decision, decision);
  assert.deepEqual(answer.tool_calls?.[0]?.output, { rent: 3150 });

  const body = { status: 'succeeded', output: { cheaper: 'harbour_street' } } as const;
  const ended = ok(await updateRun({ client: maria, path: { run_id }, body }));
  assert.equal(ended.status, 'succeeded');
  assert.ok(ended.finished_at instanceof Date);

  const listed = ok(await listConversations({ client: maria })).conversations.find(
    (found) => found.id === conversation.id,
  );
  assert.equal(listed?.title, 'Which lease costs less?');
  assert.equal(listed.message_count, 2);
  assert.equal(listed.last_message?.role, 'assistant');
  assert.deepEqual(listed.last_message?.created_at, answer.created_at);

  const whole = ok(await getConversation({ client: maria, path }));
  assert.deepEqual(whole.messages?.map((message) => message.id), [question.id, answer.id]);
  const query = { include_messages: false };
  assert.equal(ok(await getConversation({ client: maria, path, query })).messages, undefined);
  assert.deepEqual(ok(await getMessage({ client: maria, path: { message_id: answer.id } })), answer);

  const renamed = ok(
    await updateConversation({ client: maria, path, body: { title: 'Leases', agent_id: null } }),
  );
  assert.deepEqual([renamed.title, renamed.agent_id], ['Leases', null]);

  const deleted = await deleteConversation({ client: maria, path });
  assert.deepEqual([deleted.error, deleted.response?.status], [undefined, 204]);
  assert.equal(ok(await getRun({ client: maria, path: { run_id } })).conversation_id, null);
});

test('a tag tells what is known and what somebody else has changed', async () => {
  const path = { conversation_id: await newConversation() };
  const first = await getConversation({ client: maria, path });
  const tag = first.response?.headers.get('ETag') ?? '';

  const known = await getConversation({ client: maria, path, headers: { 'If-None-Match': tag } });
  assert.deepEqual([known.response?.status, known.data, known.error], [304, undefined, {}]);

  const change = { client: maria, path, body: { title: 'Leases' }, headers: { 'If-Match': tag } };
  assert.equal(ok(await updateConversation(change)).title, 'Leases');
  const stale: Problem = failed(await updateConversation(change));
  assert.equal(stale.type, '/problems/precondition-failed');
});

test('a routing decision comes back in its shape', async () => {
  const flat: FlatRoutingDecision = { selected_agents: ['a'], alternatives: ['b', { name: 'c' }] };
  const nested: NestedRoutingDecision = {
    routing_decision: flat,
    execution_plan: [{ step: 1, type: 'tool', name: 'search', input: { query: 'rent' } }],
  };
  const agentic: AgenticRoutingDecision = {
    thoughts: [{ type: 'plan', source: 'a', message: 'Add it up.', data: null }],
    selected_agents: ['a', { id: NOBODYS_ID }],
  };
  const conversation_id = await newConversation();

  for (const routing_decision of [flat, nested, agentic, null]) {
    const message = await say(conversation_id, { routing_decision });
    assert.deepEqual(message.routing_decision, routing_decision);
  }
});

test('pages follow each other to the end', async () => {
  const conversation_id = await newConversation();
  const said: string[] = [];
  for (let number = 0; number < 7; number++) {
    said.push((await say(conversation_id, { content: `Number ${number}` })).id);
  }

  const read: string[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: 3, ...(cursor && { cursor }) };
    const page = ok(await listMessages({ client: maria, path: { conversation_id }, query }));
    assert.equal(page.total, 7);
    read.push(...page.messages.map((message) => message.id));
    cursor = page.next_cursor;
  } while (cursor !== null);

  assert.deepEqual(read, said);
});

test('lists take their filters', async () => {
  await createConversation({ client: bob, body: { source: 'web' } });
  await createConversation({ client: bob, body: { source: 'mobile' } });
  await createRun({ client: bob, body: { agent_id: 'web', status: 'running' } });
  await createRun({ client: bob, body: { agent_id: 'web' } });

  const query = { source: 'web', order_by: 'updated_at', order: 'asc' } as const;
  const { conversations } = ok(await listConversations({ client: bob, query }));
  const { runs } = ok(await listRuns({ client: bob, query: { agent_id: 'web', status: 'running' } }));

  assert.deepEqual(conversations.map((conversation) => conversation.source), ['web']);
  assert.deepEqual(runs.map((run) => run.status), ['running']);
});

test('a message shows its attachments until they are deleted', async () => {
  const conversation_id = await newConversation();
  const made = ok(
    await createChatAttachment({
      client: maria,
      body: {
        filename: 'plan.pdf',
        file_url: 's3://leases/plan.pdf',
        added_to_library: true,
        parsed_content: '214 square metres',
      },
    }),
  );
  assert.deepEqual([made.message_id, made.mime_type, made.size_bytes], [null, null, null]);
  const path = { attachment_id: made.id };

  const message = await say(conversation_id, { attachment_ids: [made.id] });
  assert.deepEqual(message.chat_attachments.map((file) => file.filename), ['plan.pdf']);
  assert.ok(message.chat_attachments[0]?.created_at instanceof Date);
  const linked = ok(await getChatAttachment({ client: maria, path }));
  assert.deepEqual([linked.message_id, linked.conversation_id], [message.id, conversation_id]);
  const query = { added_to_library: true, conversation_id };
  const page = ok(await listChatAttachments({ client: maria, query }));
  assert.deepEqual(page.chat_attachments, [linked]);

  const body: MessageCreate = { role: 'user', content: 'Hello', attachment_ids: [made.id] };
  const again = failed(await createMessage({ client: maria, path: { conversation_id }, body }));
  assert.ok('errors' in again);
  assert.deepEqual(again.errors.map((error) => error.pointer), ['/attachment_ids/0']);
  const foreign: Problem = failed(await deleteChatAttachment({ client: bob, path }));
  assert.equal(foreign.type, '/problems/forbidden');

  assert.equal((await deleteChatAttachment({ client: maria, path })).response?.status, 204);
  const left = ok(await getMessage({ client: maria, path: { message_id: message.id } }));
  assert.deepEqual(left.chat_attachments, []);
});

test('conversations are organised', async () => {
  const id = await newConversation();
  const path = { conversation_id: id };
  const answer = await say(id, {
    role: 'assistant',
    routing_decision: { selected_agents: ['web-agent'] },
  });
  assert.equal(ok(await getConversation({ client: maria, path })).unread_count, 1);
  const body = { message_id: answer.id };
  assert.equal(ok(await markConversationRead({ client: maria, path, body })).unread_count, 0);

  const tag = crypto.randomUUID();
  const change = { pinned: true, tags: [tag] };
  assert.deepEqual(ok(await updateConversation({ client: maria, path, body: change })).tags, [tag]);
  const query = { tag, pinned: true, agent_id: 'web-agent' };
  const page = ok(await listConversations({ client: maria, query }));
  assert.deepEqual(page.conversations.map((conversation) => conversation.id), [id]);

  const tagged = ok(
    await bulkUpdateConversations({
      client: maria,
      body: { action: 'add_tags', ids: [id, NOBODYS_ID], tags: ['done'] },
    }),
  );
  assert.deepEqual(tagged.results.map((result) => result.status), [200, 404]);
  assert.equal(tagged.results[0]?.problem, null);
  assert.equal(tagged.results[1]?.problem?.type, '/problems/not-found');
  const archived = ok(
    await bulkUpdateConversations({ client: maria, body: { action: 'archive', filter: { tag } } }),
  );
  assert.deepEqual(archived.results.map((result) => result.id), [id]);
  const all = { tag, archived: 'true' } as const;
  const [listed] = ok(await listConversations({ client: maria, query: all })).conversations;
  assert.deepEqual([listed?.id, listed?.archived], [id, true]);
});

test('search finds messages and shows the matches', async () => {
  const id = await newConversation();
  const word = `w${crypto.randomUUID().replaceAll('-', '')}`;
  const content = `😀 The rent of Café Müller is fixed: ${word}.`;
  const rent = await say(id, { content });
  const answer = await say(id, { role: 'assistant', content: `The other rent is not: ${word}.` });

  const q = `"cafe muller" rent ${word}`;
  const { results } = ok(await search({ client: maria, query: { q } }));
  assert.deepEqual(results.map((result) => result.message_id), [rent.id]);
  const [found] = results;
  assert.ok(found);
  assert.deepEqual([found.conversation.id, found.conversation.role], [id, 'owner']);
  const parts = found.highlights.map(({ start, end }) => found.snippet.slice(start, end));
  assert.deepEqual(parts, ['rent', 'Café Müller', word]);

  const page = ok(await search({ client: maria, query: { q: word, limit: 1 } }));
  const cursor = page.next_cursor ?? '';
  const last = ok(await search({ client: maria, query: { q: word, limit: 1, cursor } }));
  const ids = [...page.results, ...last.results].map((result) => result.message_id);
  assert.deepEqual(new Set(ids), new Set([rent.id, answer.id]));
  assert.equal(last.next_cursor, null);
  const filters = { role: 'assistant', conversation_id: id } as const;
  const one = ok(await search({ client: maria, query: { q: word, ...filters } })).results;
  assert.deepEqual(one.map((result) => result.message_id), [answer.id]);
  const refused = await search({ client: maria, query: { q: '-rent' } });
  assert.equal(refused.response?.status, 422);
});

test('a message shows the feedback of its reader', async () => {
  const message = await say(await newConversation(), {});
  assert.equal(message.feedback, null);
  const path = { message_id: message.id };

  const body = { rating: 'down', tags: ['wrong'], comment: 'The rent is missing.' } as const;
  const given = ok(await setFeedback({ client: maria, path, body: { ...body, tags: ['wrong'] } }));
  assert.deepEqual(given, body);
  assert.deepEqual(ok(await getMessage({ client: maria, path })).feedback, body);
  const foreign: Problem = failed(await deleteFeedback({ client: bob, path }));
  assert.equal(foreign.type, '/problems/forbidden');

  assert.equal((await deleteFeedback({ client: maria, path })).response?.status, 204);
  assert.equal(ok(await getMessage({ client: maria, path })).feedback, null);
});

test('anyone reads a link until it is deleted', async () => {
  const conversation_id = await newConversation();
  const path = { conversation_id };
  await say(conversation_id, { content: 'Which lease costs less?' });
  const expires_at = new Date('2036-04-01T00:00:00Z');
  const made = ok(await createLink({ client: maria, path, body: { expires_at } }));
  assert.deepEqual([made.expires_at, made.with_attachments], [expires_at, false]);

  const anyone = createClient(createConfig({ baseUrl: API ?? '' }));
  const secret = { secret: made.secret };
  const found = ok(await getSharedConversation({ client: anyone, path: secret }));
  assert.deepEqual(
    found.messages.map((message) => [message.role, message.content]),
    [['user', 'Which lease costs less?']],
  );
  const { links } = ok(await listLinks({ client: maria, path }));
  assert.deepEqual(links.map((link) => link.id), [made.id]);
  const foreign: Problem = failed(await listLinks({ client: bob, path }));
  assert.equal(foreign.type, '/problems/forbidden');

  const link = { conversation_id, link_id: made.id };
  assert.equal((await deleteLink({ client: maria, path: link })).response?.status, 204);
  const gone = failed(await getSharedConversation({ client: anyone, path: secret }));
  assert.equal(gone.type, '/problems/not-found');
});

test('answers are regenerated, switched, copied and deleted', async () => {
  const id = await newConversation();
  const path = { conversation_id: id };
  const question = await say(id, {});
  const first = await say(id, { role: 'assistant' });
  const second = await say(id, { role: 'assistant', sibling_of: first.id });
  assert.deepEqual(
    [second.parent_id, second.sibling_index, second.sibling_count],
    [question.id, 2, 2],
  );
  const query = { branches: 'all' } as const;
  const tree = ok(await listMessages({ client: maria, path, query })).messages;
  assert.deepEqual(tree.map((message) => message.active), [true, false, true]);

  const body = { message_id: first.id };
  assert.equal(ok(await activateMessage({ client: maria, path, body })).message_count, 2);
  const copied = { up_to: second.id, title: 'A copy' };
  const copy = ok(await forkConversation({ client: maria, path, body: copied }));
  assert.deepEqual([copy.title, copy.message_count], ['A copy', 2]);

  const deleted = await deleteMessage({ client: maria, path: { message_id: first.id } });
  assert.equal(deleted.response?.status, 204);
  const left = ok(await getMessage({ client: maria, path: { message_id: second.id } }));
  assert.deepEqual([left.sibling_count, left.active], [1, true]);
});

test('settings are defaults until they are saved', async () => {
  const defaults = ok(await getChatSettings({ client: maria }));
  assert.deepEqual([defaults.id, defaults.created_at, defaults.temperature], [null, null, 0.7]);

  const body = { enabled_agents: [NOBODYS_ID], model: 'llama-3.3-70b', max_tokens: 4000 };
  for (let time = 0; time < 2; time++) {
    const saved = ok(await updateChatSettings({ client: maria, body })); // again changes nothing
    assert.deepEqual(saved.enabled_agents, [NOBODYS_ID]);
    assert.ok(saved.created_at instanceof Date);
  }

  const cleared = ok(await updateChatSettings({ client: maria, body: { model: null } }));
  assert.deepEqual([cleared.model, cleared.max_tokens], [null, 4000]);
});

test('a POST is repeated with its key', async () => {
  const path = { conversation_id: await newConversation() };
  const keys = [1, 2, 3].map(() => ({ 'Idempotency-Key': crypto.randomUUID() }));
  const hello = { role: 'user', content: 'Hello' } as const;
  const postAll = async () => [
    ok(await createConversation({ client: maria, headers: keys[0]! })),
    ok(await createMessage({ client: maria, headers: keys[1]!, path, body: hello })),
    ok(await createRun({ client: maria, headers: keys[2]!, body: { agent_id: 'a' } })),
  ];

  const first = await postAll();
  const again = await postAll();

  assert.deepEqual(again, first);
  const { messages } = ok(await listMessages({ client: maria, path }));
  assert.deepEqual(messages.map((message) => message.id), [first[1]?.id]);
  const other = { client: maria, headers: keys[2]!, body: { agent_id: 'b' } };
  const refused = failed(await createRun(other));
  assert.ok('errors' in refused);
  assert.deepEqual(
    refused.errors.map((error) => [error.in, error.pointer]),
    [['header', '/Idempotency-Key']],
  );
});

test('errors of the live server are typed problems', async () => {
  const conversation_id = await newConversation();
  const path = { conversation_id };

  const foreign: Problem = failed(await getConversation({ client: bob, path }));
  assert.equal(foreign.type, '/problems/forbidden');

  const nowhere = { conversation_id: NOBODYS_ID };
  const missing: Problem = failed(await getConversation({ client: maria, path: nowhere }));
  assert.equal(missing.type, '/problems/not-found');

  const stranger = await listConversations({ client: clientOf(API, 'no.token.atall') });
  const refused: Problem = failed(stranger);
  assert.equal(refused.type, '/problems/unauthorized');
  assert.match(stranger.response?.headers.get('WWW-Authenticate') ?? '', /^Bearer/);

  const run = ok(await createRun({ client: maria, body: { agent_id: 'a' } }));
  const of = { client: maria, path: { run_id: run.id } };
  await updateRun({ ...of, body: { status: 'cancelled' } });
  const conflict: Problem = failed(await updateRun({ ...of, body: { status: 'running' } }));
  assert.equal(conflict.type, '/problems/conflict');

  const large = { role: 'user', content: 'x'.repeat(2_000_000) } as const;
  const refusedBody: Problem = failed(await createMessage({ client: maria, path, body: large }));
  assert.equal(refusedBody.type, '/problems/payload-too-large');

  const foreignRun = { role: 'user', content: 'Hello', run_id: NOBODYS_ID } as const;
  const invalid = failed(await createMessage({ client: maria, path, body: foreignRun }));
  assert.ok('errors' in invalid);
  const problem: ValidationProblem = invalid;
  assert.deepEqual(
    problem.errors.map((error) => [error.in, error.pointer]),
    [['body', '/run_id']],
  );
});

test('a conversation is shared, and is not any more', async () => {
  const path = { conversation_id: await newConversation() };
  const user_id = ok(await getChatSettings({ client: bob })).user_id;
  const viewer = { user_id, role: 'viewer' } as const;
  const member = { ...path, user_id };

  const shared = ok(await shareConversation({ client: maria, path, body: viewer }));
  const seen = ok(await getConversation({ client: bob, path }));
  assert.deepEqual([seen.role, seen.shared_by], ['viewer', shared.shared_by]);
  assert.ok(shared.shared_at instanceof Date);

  const body = { role: 'user', content: 'Hello' } as const;
  const early: Problem = failed(await createMessage({ client: bob, path, body }));
  assert.equal(early.type, '/problems/forbidden');
  const editor = { user_id, role: 'editor' } as const;
  const changed = ok(await shareConversation({ client: maria, path, body: editor }));
  assert.deepEqual(changed, { ...shared, role: 'editor' });
  assert.equal(ok(await createMessage({ client: bob, path, body })).content, 'Hello');
  assert.deepEqual(ok(await listShares({ client: bob, path })).shares, [changed]);

  const removed = await unshareConversation({ client: maria, path: member });
  assert.equal(removed.response?.status, 204);
  const gone: Problem = failed(await getConversation({ client: bob, path }));
  assert.equal(gone.type, '/problems/forbidden');
  assert.deepEqual(ok(await listShares({ client: maria, path })).shares, []);
});

test('a message is edited, and keeps its versions', async () => {
  const path = { conversation_id: await newConversation() };
  const user_id = ok(await getChatSettings({ client: bob })).user_id;
  ok(await shareConversation({ client: maria, path, body: { user_id, role: 'editor' } }));
  const parts = [{ type: 'reasoning', text: 'Harbour Street?' }];
  const body = { role: 'user', content: 'Harbor Street', parts } as const;
  const first = ok(await createMessage({ client: bob, path, body }));
  assert.deepEqual([first.author, first.version, first.edited_at], [user_id, 1, null]);
  assert.deepEqual(first.parts, parts);

  const of = { path: { message_id: first.id }, body: { content: 'Harbour Street', parts: null } };
  const edited = ok(await updateMessage({ client: bob, ...of }));
  assert.deepEqual([edited.content, edited.parts, edited.version], ['Harbour Street', null, 2]);
  assert.ok(edited.edited_at instanceof Date);
  const headers = { 'If-Match': '"an-old-tag"' };
  const stale: Problem = failed(await updateMessage({ client: maria, ...of, headers }));
  assert.equal(stale.type, '/problems/precondition-failed');
  const { versions } = ok(await listMessageVersions({ client: maria, path: of.path }));
  assert.deepEqual(
    versions.map((each) => [each.version, each.author, each.content, each.parts]),
    [[1, user_id, 'Harbor Street', parts], [2, user_id, 'Harbour Street', null]],
  );

  const hello = { role: 'user', content: 'Hello' } as const;
  const hers = ok(await createMessage({ client: maria, path, body: hello }));
  const foreign = await updateMessage({ client: bob, ...of, path: { message_id: hers.id } });
  assert.equal((failed(foreign) as Problem).type, '/problems/forbidden');
});

test('events are typed, and a token is not sent as a lease', async () => {
  const run = ok(await createRun({ client: maria, body: { agent_id: 'a', status: 'running' } }));
  const of = { client: maria, path: { run_id: run.id } };
  const events = [{ type: 'text.delta', data: { text: 'Harbour' }, transient: true }];
  const numbers = ok(await appendRunEvents({ ...of, body: { events } }));
  ok(await updateRun({ ...of, body: { status: 'succeeded' } }));
  const { stream } = await streamRunEvents({ ...of, query: { format: 'message' } });

  const seen: [number, string][] = [];
  for await (const event of stream) seen.push([event.sequence, event.type]);

  assert.deepEqual([numbers.first_sequence, numbers.last_sequence], [2, 2]);
  assert.deepEqual(seen, [[1, 'run.started'], [2, 'text.delta'], [3, 'run.ended']]);
  const stop = new AbortController();
  const query = { format: 'message', after: 0 } as const;
  const changes = await streamChanges({ client: maria, query, signal: stop.signal });
  const first = await changes.stream.next();
  assert.ok(first.value?.at instanceof Date);
  assert.match(first.value.type, /^[a-z]+\.[a-z]+$/);
  stop.abort(); // leaving the generator would not close the connection
  const page = ok(await listRunEvents(of));
  assert.deepEqual(page.events.map((event) => event.sequence), [1, 2, 3]);
});

const path = {
  attachment_id: NOBODYS_ID,
  conversation_id: NOBODYS_ID,
  link_id: NOBODYS_ID,
  message_id: NOBODYS_ID,
  run_id: NOBODYS_ID,
  user_id: 'jonas.weber',
  secret: 'a secret',
};
type Asked = { client: Client; headers: { Prefer: string } };
type Answer = { error?: Problem; response?: Response };

type Open = { sseMaxRetryAttempts: number; fetch: typeof fetch };

/** Returns the answer that the function of a stream only passes on as a text. */
async function opened(
  open: (options: Open) => Promise<{ stream: AsyncGenerator<unknown> }>,
): Promise<Answer> {
  const answers: Answer[] = [];
  const { stream } = await open({
    sseMaxRetryAttempts: 1,
    fetch: async (request) => {
      const response = await fetch(request);
      answers.push({ response, error: (await response.clone().json()) as Problem });
      return response;
    },
  });
  for await (const event of stream) assert.fail(`not an error: ${JSON.stringify(event)}`);
  assert.equal(answers.length, 1);
  return answers[0] ?? {};
}

const format = 'message';
const operations: Record<string, (asked: Asked) => Promise<Answer>> = {
  activate_message: (asked) =>
    activateMessage({ ...asked, path, body: { message_id: NOBODYS_ID } }),
  append_run_events: (asked) =>
    appendRunEvents({ ...asked, path, body: { events: [{ type: 'a', data: {} }] } }),
  bulk_update_conversations: (asked) =>
    bulkUpdateConversations({ ...asked, body: { action: 'pin', filter: { tag: 'leases' } } }),
  cancel_run: (asked) => cancelRun({ ...asked, path }),
  claim_run: (asked) => claimRun({ ...asked, body: { agent_ids: ['a'] } }),
  create_chat_attachment: (asked) =>
    createChatAttachment({ ...asked, body: { filename: 'a.pdf', file_url: 's3://a' } }),
  create_conversation: createConversation,
  create_message: (asked) =>
    createMessage({ ...asked, path, body: { role: 'user', content: 'Hello' } }),
  create_run: (asked) => createRun({ ...asked, body: { agent_id: 'a' } }),
  delete_chat_attachment: (asked) => deleteChatAttachment({ ...asked, path }),
  delete_conversation: (asked) => deleteConversation({ ...asked, path }),
  create_link: (asked) => createLink({ ...asked, path, body: {} }),
  delete_link: (asked) => deleteLink({ ...asked, path }),
  get_shared_conversation: (asked) => getSharedConversation({ ...asked, path }),
  list_links: (asked) => listLinks({ ...asked, path }),
  delete_feedback: (asked) => deleteFeedback({ ...asked, path }),
  delete_message: (asked) => deleteMessage({ ...asked, path }),
  fork_conversation: (asked) => forkConversation({ ...asked, path }),
  get_chat_attachment: (asked) => getChatAttachment({ ...asked, path }),
  get_chat_settings: getChatSettings,
  get_conversation: (asked) => getConversation({ ...asked, path }),
  get_health: getHealth,
  get_message: (asked) => getMessage({ ...asked, path }),
  get_readiness: getReadiness,
  get_run: (asked) => getRun({ ...asked, path }),
  heartbeat_run: ({ client, headers }) =>
    heartbeatRun({ client, path, headers: { ...headers, 'Run-Lease': 'a lease' } }),
  list_changes: listChanges,
  list_chat_attachments: listChatAttachments,
  list_conversations: listConversations,
  list_message_versions: (asked) => listMessageVersions({ ...asked, path }),
  list_messages: (asked) => listMessages({ ...asked, path }),
  list_run_events: (asked) => listRunEvents({ ...asked, path }),
  list_runs: listRuns,
  list_shares: (asked) => listShares({ ...asked, path }),
  mark_conversation_read: (asked) => markConversationRead({ ...asked, path }),
  search: (asked) => search({ ...asked, query: { q: 'lease' } }),
  set_feedback: (asked) => setFeedback({ ...asked, path, body: { rating: 'up' } }),
  share_conversation: (asked) =>
    shareConversation({ ...asked, path, body: { user_id: 'jonas.weber', role: 'viewer' } }),
  stream_changes: (asked) =>
    opened((options) => streamChanges({ ...asked, ...options, query: { format } })),
  stream_run_events: (asked) =>
    opened((options) => streamRunEvents({ ...asked, ...options, path, query: { format } })),
  unshare_conversation: (asked) => unshareConversation({ ...asked, path }),
  update_chat_settings: (asked) => updateChatSettings({ ...asked, body: {} }),
  update_conversation: (asked) => updateConversation({ ...asked, path, body: {} }),
  update_message: (asked) => updateMessage({ ...asked, path, body: {} }),
  update_run: (asked) => updateRun({ ...asked, path, body: {} }),
};

type Contract = {
  paths: Record<string, Record<string, { operationId?: string; responses: object }>>;
};
const contract = (await (await fetch(`${MOCK}/openapi.json`)).json()) as Contract;
const documented = Object.values(contract.paths)
  .flatMap((item) => Object.values(item))
  .filter((operation) => operation.operationId !== undefined);

test('every operation of the contract has a function', () => {
  const named = documented.map((operation) => operation.operationId);
  assert.deepEqual(named.sort(), Object.keys(operations).sort());
});

for (const { operationId, responses } of documented) {
  test(`every error of ${operationId} is a typed problem`, async () => {
    const operation = operations[operationId ?? ''];
    const statuses = Object.keys(responses).map(Number).filter((status) => status >= 400);
    assert.ok(operation && statuses.length > 0);
    for (const status of statuses) {
      const headers = { Prefer: `code=${status}` };
      const { error, response } = await operation({ client: mock, headers });
      assert.deepEqual([response?.status, error?.status], [status, status]);
      assert.match(error?.type ?? '', /^\/problems\//);
      assert.equal(error !== undefined && 'errors' in error, status === 422);
    }
  });
}

test('health needs no token', async () => {
  const nobody = createClient(createConfig({ baseUrl: API ?? '' }));

  assert.equal(ok(await getHealth({ client: nobody })).status, 'ok');
  assert.equal(ok(await getReadiness({ client: nobody })).status, 'ready');
});
