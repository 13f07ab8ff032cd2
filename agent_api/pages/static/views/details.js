import { html, useState } from "../html.js";
import { routingOf } from "./routing.js";

// What is behind an answer. The contents of a section are rendered when it is opened, because outputs of tools can be long.
export function Details({ message }) {
  const calls = message.tool_calls ?? [];
  const parts = (message.parts ?? []).filter((part) => part.type !== "text");
  const routing = message.routing_decision ? routingOf(message.routing_decision) : null;
  const metadata = Object.entries(message.metadata ?? {});
  if (calls.length === 0 && parts.length === 0 && !routing && metadata.length === 0) return null;
  return html`
    <div class="details">
      ${calls.map((call, index) => html`<${ToolCall} key=${`call-${index}`} call=${call} />`)}
      ${parts.map((part, index) => html`<${Part} key=${`part-${index}`} part=${part} />`)}
      ${routing && html`<${Routing} routing=${routing} />`}
      ${metadata.length > 0 && html`
        <${Section} label="Metadata">${() => html`<${Json} value=${message.metadata} />`}<//>
      `}
    </div>
  `;
}

function Section({ label, name, note, bad = false, children }) {
  const [open, setOpen] = useState(false);
  return html`
    <details onToggle=${(event) => setOpen(event.target.open)}>
      <summary>
        <span>${label}</span>
        ${name && html`<code dir="auto">${name}</code>`}
        ${note && html`<span class=${bad ? "tag bad" : "tag"}>${note}</span>`}
      </summary>
      ${open && html`<div class="details-body">${children()}</div>`}
    </details>
  `;
}

// No property of a tool call is required, and `error` can be any JSON value.
function ToolCall({ call }) {
  const { tool_name: name, success, output, error, metadata, ...others } = call;
  const failed = success === false || (error !== null && error !== undefined);
  return html`
    <${Section} label="Tool" name=${name || "unnamed"} note=${failed ? "failed" : success && "done"} bad=${failed}>${() => html`
      <${Labelled} label="Error" value=${error} />
      <${Labelled} label="Output" value=${output} />
      <${Labelled} label="Metadata" value=${metadata} />
      ${Object.entries(others).map(([key, value]) => html`<${Labelled} key=${key} label=${key} value=${value} />`)}
    `}<//>
  `;
}

const PARTS = { reasoning: "Reasoning", tool_call: "Tool call", tool_result: "Tool result", file: "File", data: "Data" };

// Agents may send types of their own: those are shown by their name, as JSON.
function Part({ part }) {
  const { type, text, name, ...others } = part;
  return html`
    <${Section} label=${PARTS[type] ?? "Part"} name=${typeof name === "string" ? name : PARTS[type] ? null : type}>${() => html`
      ${typeof text === "string" && html`<p class="prose" dir="auto">${text}</p>`}
      ${Object.keys(others).length > 0 && html`<${Json} value=${others} />`}
    `}<//>
  `;
}

function Routing({ routing }) {
  const note = routing.confidence === null ? null : new Intl.NumberFormat(undefined, { style: "percent" }).format(routing.confidence);
  return html`
    <${Section} label="Routing" name=${[...routing.agents, ...routing.tools].join(", ")} note=${note && html`<bdi>${note} sure</bdi>`}>${() => html`
      <${Labelled} label="Agents" value=${routing.agents.join(", ") || undefined} />
      <${Labelled} label="Tools" value=${routing.tools.join(", ") || undefined} />
      <${Labelled} label="Reason" value=${routing.reasoning ?? undefined} />
      <${Labelled} label="Alternatives" value=${routing.alternatives.length ? routing.alternatives.join(", ") : undefined} />
      ${routing.asksBack && html`<p>The dispatcher needs an answer from the user first.</p>`}
      ${routing.steps.length > 0 && html`<h4>Plan</h4><ol class="steps">${routing.steps.map((step, index) => html`<${Step} key=${index} ...${step} />`)}</ol>`}
      ${routing.thoughts.length > 0 && html`<h4>Thoughts</h4><ol class="steps">${routing.thoughts.map((step, index) => html`<${Step} key=${index} ...${step} />`)}</ol>`}
      ${Object.keys(routing.others).length > 0 && html`<${Labelled} label="Other" value=${routing.others} />`}
    `}<//>
  `;
}

function Step({ kind, name, text, value }) {
  return html`
    <li>
      ${kind && html`<span class="tag">${kind}</span>`} ${name && html`<code dir="auto">${name}</code>`}
      ${text && html`<p class="prose" dir="auto">${text}</p>`}
      ${value !== null && value !== undefined && html`<${Json} value=${value} />`}
    </li>
  `;
}

function Labelled({ label, value }) {
  if (value === undefined || value === null) return null;
  return html`
    <h4><bdi>${label}</bdi></h4>
    ${typeof value === "string" ? html`<p class="prose" dir="auto">${value}</p>` : html`<${Json} value=${value} />`}
  `;
}

function Json({ value }) {
  return html`<pre class="plain" dir="ltr" tabindex="0">${JSON.stringify(value, null, 2)}</pre>`;
}
