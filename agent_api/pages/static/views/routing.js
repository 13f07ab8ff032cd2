// A routing decision has one of three shapes: flat, nested in `routing_decision` with a plan, or with the thoughts of agents.
// It is stored as the dispatcher sent it, so every property can be absent or null.
export function routingOf(decision) {
  const { execution_plan: plan, thoughts, routing_decision: nested, ...outer } = decision;
  const {
    selected_agents: agents,
    selected_tools: tools,
    alternatives,
    confidence,
    reasoning,
    requires_disambiguation: asksBack,
    ...others
  } = { ...outer, ...nested };
  return {
    agents: (agents ?? []).map(nameOf),
    tools: (tools ?? []).map(nameOf),
    alternatives: (alternatives ?? []).map(nameOf),
    confidence: confidence ?? null,
    reasoning: reasoning ?? null,
    asksBack: asksBack === true,
    steps: (plan ?? []).map((step) => ({ kind: step.type, name: step.name, value: step.input })),
    thoughts: (thoughts ?? []).map((thought) => ({
      kind: thought.type,
      name: thought.source,
      text: thought.message,
      value: thought.data,
    })),
    others,
  };
}

// Agents are names, ids, or objects that have one of the two.
function nameOf(choice) {
  if (typeof choice !== "object" || choice === null) return String(choice);
  return String(choice.name ?? choice.id ?? JSON.stringify(choice));
}
