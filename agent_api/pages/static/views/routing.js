import { html } from "../html.js";
import { Json, Labelled, Section } from "./detail_parts.js";

const percent = new Intl.NumberFormat(undefined, { style: "percent" });

/** How a dispatcher chose agents and tools. */
export function Routing({ decision }) {
  const routing = routingOf(decision);
  const { agents, tools, alternatives, confidence, reasoning, steps, thoughts, others } = routing;
  const note = typeof confidence === "number" && `${percent.format(confidence)} sure`;
  const contents = () => html`
    <${Labelled} label="Agents" value=${agents.join(", ") || null} />
    <${Labelled} label="Tools" value=${tools.join(", ") || null} />
    <${Labelled} label="Reason" value=${reasoning} />
    <${Labelled} label="Alternatives" value=${alternatives.join(", ") || null} />
    ${routing.asksBack && html`<p>The dispatcher needs an answer from the user first.</p>`}
    <${Steps} label="Plan" steps=${steps} />
    <${Steps} label="Thoughts" steps=${thoughts} />
    <${Labelled} label="Other" value=${Object.keys(others).length > 0 ? others : null} />
  `;
  return html`<${Section} label="Routing" name=${[...agents, ...tools].join(", ")} note=${note}>${contents}<//>`;
}

function Steps({ label, steps }) {
  if (steps.length === 0) return null;
  return html`
    <h3>${label}</h3>
    <ol class="steps">${steps.map((step, index) => html`<${Step} key=${index} ...${step} />`)}</ol>
  `;
}

function Step({ kind, name, text, value }) {
  return html`
    <li>
      ${kind && html`<bdi class="tag">${kind}</bdi>`} ${name && html`<code dir="auto">${name}</code>`}
      ${text && html`<p class="prose" dir="auto">${text}</p>`}
      ${value !== null && value !== undefined && html`<${Json} value=${value} />`}
    </li>
  `;
}

// A decision has one of three shapes: flat, nested in `routing_decision` with a plan, or with the thoughts of agents. It
// is stored as the dispatcher sent it, so every property can be absent or null.
function routingOf(decision) {
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
    agents: listOf(agents).map(nameOf),
    tools: listOf(tools).map(nameOf),
    alternatives: listOf(alternatives).map(nameOf),
    confidence,
    reasoning,
    asksBack: asksBack === true,
    steps: stepsOf(plan, ({ type, name, input }) => ({ kind: type, name, value: input })),
    thoughts: stepsOf(thoughts, ({ type, source, message, data }) => ({ kind: type, name: source, text: message, value: data })),
    others,
  };
}

// The contract checks only the properties of one of the three shapes: the others can be any JSON value.
function listOf(value) {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function stepsOf(value, read) {
  return listOf(value).map((step) => (typeof step === "object" && step !== null ? read(step) : { value: step }));
}

// Agents are names, ids, or objects that have one of the two.
function nameOf(choice) {
  if (typeof choice !== "object" || choice === null) return String(choice);
  return String(choice.name ?? choice.id ?? JSON.stringify(choice));
}
