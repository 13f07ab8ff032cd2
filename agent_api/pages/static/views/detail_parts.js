import { html, useState } from "../html.js";

/** A section that opens. Its contents are rendered only then, because outputs of tools can be long. */
export function Section({ label, name, note, bad = false, children }) {
  const [open, setOpen] = useState(false);
  return html`
    <details onToggle=${(event) => setOpen(event.target.open)}>
      <summary>
        <span>${label}</span>
        ${name && html`<code dir="auto">${name}</code>`}
        ${note && html`<bdi class=${bad ? "tag bad" : "tag"}>${note}</bdi>`}
      </summary>
      ${open && html`<div class="details-body">${children()}</div>`}
    </details>
  `;
}

/** A value with its name; nothing if the agent did not send it. */
export function Labelled({ label, value }) {
  if (value === undefined || value === null) return null;
  const isText = typeof value === "string";
  return html`
    <div class=${isText ? "pair" : "stack"}>
      <h3><bdi>${label}</bdi></h3>
      ${isText ? html`<p class="prose" dir="auto">${value}</p>` : html`<${Json} value=${value} />`}
    </div>
  `;
}

export function Json({ value }) {
  return html`<pre class="plain" dir="ltr" tabindex="0">${JSON.stringify(value, null, 2)}</pre>`;
}
