import { html } from "../html.js";
import { Json, Labelled, Section } from "./detail_parts.js";
import { Routing } from "./routing.js";

/** What is behind an answer: calls of tools, parts that are not text, the routing decision and metadata. */
export function Details({ message }) {
  const calls = message.tool_calls ?? [];
  const parts = (message.parts ?? []).filter((part) => part.type !== "text");
  const hasMetadata = Object.keys(message.metadata ?? {}).length > 0;
  if (calls.length === 0 && parts.length === 0 && !message.routing_decision && !hasMetadata) return null;
  return html`
    <div class="details">
      ${calls.map((call, index) => html`<${ToolCall} key=${`call-${index}`} call=${call} />`)}
      ${parts.map((part, index) => html`<${Part} key=${`part-${index}`} part=${part} />`)}
      ${message.routing_decision && html`<${Routing} decision=${message.routing_decision} />`}
      ${hasMetadata && html`<${Section} label="Metadata">${() => html`<${Json} value=${message.metadata} />`}<//>`}
    </div>
  `;
}

// No property of a tool call is required, others are the agent's own, and `error` can be any JSON value.
function ToolCall({ call }) {
  const { tool_name: name, success, output, error, metadata, ...others } = call;
  const failed = success === false || (error !== null && error !== undefined);
  const note = failed ? "failed" : success && "done";
  const other = ([key, value]) => html`<${Labelled} key=${key} label=${key} value=${value} />`;
  const contents = () => html`
    <${Labelled} label="Error" value=${error} />
    <${Labelled} label="Output" value=${output} />
    <${Labelled} label="Metadata" value=${metadata} />
    ${Object.entries(others).map(other)}
  `;
  return html`<${Section} label="Tool" name=${name || "unnamed"} note=${note} bad=${failed}>${contents}<//>`;
}

const PARTS = {
  reasoning: "Reasoning",
  tool_call: "Tool call",
  tool_result: "Tool result",
  file: "File",
  data: "Data",
};

// Agents may send types of their own: those are shown by their name, as JSON.
function Part({ part }) {
  const { type, text, name, ...others } = part;
  const ownType = PARTS[type] ? null : type;
  const contents = () => html`
    ${typeof text === "string" && html`<p class="prose" dir="auto">${text}</p>`}
    ${Object.keys(others).length > 0 && html`<${Json} value=${others} />`}
  `;
  return html`
    <${Section} label=${PARTS[type] ?? "Part"} name=${typeof name === "string" ? name : ownType}>${contents}<//>
  `;
}
