import assert from 'node:assert/strict';
import {
  Api,
  type AgenticRoutingDecision,
  type FlatRoutingDecision,
  type NestedRoutingDecision,
} from './client.js';

const { API, TOKEN } = process.env;
const { conversations, messages, runs } = new Api({
  baseUrl: API!,
  securityWorker: () => ({ headers: { Authorization: `Bearer ${TOKEN}` } }),
});

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

const conversation = await conversations.createConversation();
for (const routing_decision of [flat, nested, agentic]) {
  const body = { role: 'assistant', content: 'Harbour Street.', routing_decision } as const;
  const sent = await conversations.createMessage(conversation.data.id, body);
  const read = await messages.getMessage(sent.data.id);
  assert.deepEqual(read.data.routing_decision, routing_decision);
}
const run = await runs.createRun({ agent_id: 'web' });
assert.equal(run.data.status, 'pending');
console.log('3 routing decisions, 1 run');
