import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './client.js';

type FlatRoutingDecision = components['schemas']['FlatRoutingDecision'];
type NestedRoutingDecision = components['schemas']['NestedRoutingDecision'];
type AgenticRoutingDecision = components['schemas']['AgenticRoutingDecision'];

const { API, TOKEN } = process.env;
const headers = { Authorization: `Bearer ${TOKEN}` };
const client = createClient<paths>({ baseUrl: API!, headers });

const flat: FlatRoutingDecision = {
  selected_tools: ['search'],
  confidence: 0.92,
  alternatives: ['web', { name: 'calculator' }],
};
const nested: NestedRoutingDecision = {
  routing_decision: flat,
  execution_plan: [{ step: 1, type: 'tool', name: 'search', input: { query: 'rent' } }, { type: null }],
};
const agentic: AgenticRoutingDecision = {
  thoughts: [{ type: 'plan', message: 'Add it up.', data: [1, 2] }],
  selected_agents: ['web', { name: 'calculator' }],
};

const conversation = await client.POST('/conversations');
const conversation_id = conversation.data!.id;
for (const routing_decision of [flat, nested, agentic]) {
  const sent = await client.POST('/conversations/{conversation_id}/messages', {
    params: { path: { conversation_id } },
    body: { role: 'assistant', content: 'Harbour Street.', routing_decision },
  });
  const read = await client.GET('/messages/{message_id}', {
    params: { path: { message_id: sent.data!.id } },
  });
  assert.deepEqual(read.data!.routing_decision, routing_decision);
}
const run = await client.POST('/runs', { body: { agent_id: 'web' } });
assert.equal(run.data!.status, 'pending');
console.log('3 routing decisions, 1 run');
