import assert from 'node:assert/strict';
import { ok } from '@oazapfts/runtime';
import {
  createConversation,
  createMessage,
  createRun,
  defaults,
  getMessage,
  type AgenticRoutingDecision,
  type FlatRoutingDecision,
  type NestedRoutingDecision,
} from './client.js';

const { API, TOKEN } = process.env;
defaults.baseUrl = API!;
defaults.headers = { Authorization: `Bearer ${TOKEN}` };

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

const conversation = await ok(createConversation());
for (const routing_decision of [flat, nested, agentic]) {
  const body = { role: 'assistant', content: 'Harbour Street.', routing_decision } as const;
  const sent = await ok(createMessage(conversation.id, body));
  const read = await ok(getMessage(sent.id));
  assert.deepEqual(read.routing_decision, routing_decision);
}
const run = await ok(createRun({ agent_id: 'web' }));
assert.equal(run.status, 'pending');
console.log('3 routing decisions, 1 run');
