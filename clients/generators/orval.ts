import assert from 'node:assert/strict';
import {
  createConversation,
  createMessage,
  createRun,
  getMessage,
  type AgenticRoutingDecision,
  type FlatRoutingDecision,
  type NestedRoutingDecision,
} from './client.js';

const token = { headers: { Authorization: `Bearer ${process.env.TOKEN}` } };

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

const conversation = await createConversation({}, token);
assert.ok(conversation.status === 201);
for (const routing_decision of [flat, nested, agentic]) {
  const body = { role: 'assistant', content: 'Harbour Street.', routing_decision } as const;
  const sent = await createMessage(conversation.data.id, body, token);
  assert.ok(sent.status === 201);
  const read = await getMessage(sent.data.id, token);
  assert.ok(read.status === 200);
  assert.deepEqual(read.data.routing_decision, routing_decision);
}
const run = await createRun({ agent_id: 'web' }, token);
assert.ok(run.status === 201);
assert.equal(run.data.status, 'pending');
console.log('3 routing decisions, 1 run');
