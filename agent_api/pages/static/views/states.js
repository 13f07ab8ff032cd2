// What the page shows instead of content: while it loads, when there is nothing, and when something failed.
import { html } from "../html.js";
import { explain } from "./problems.js";
import { Icon } from "./icons.js";

export function Empty({ icon, title, children }) {
  return html`
    <div class="empty">
      <span class="empty-icon"><${Icon} name=${icon} /></span>
      <h2>${title}</h2>
      ${children}
    </div>
  `;
}

export function Failed({ title, problem, onRetry }) {
  return html`
    <div class="empty" role="alert">
      <span class="empty-icon danger"><${Icon} name=${problem.name === "Offline" ? "offline" : "message"} /></span>
      <h2>${title}</h2>
      <p>${explain(problem)}</p>
      <button type="button" class="button" onClick=${onRetry}><${Icon} name="refresh" />Try again</button>
    </div>
  `;
}

/** Grey lines in the place of what is being loaded. */
export function Skeleton({ rows, label, kind }) {
  return html`
    <div class=${`skeleton ${kind}`} role="status" aria-label=${label}>
      ${Array.from({ length: rows }, (_, index) => html`<div key=${index}><i /><i /></div>`)}
    </div>
  `;
}

/** The page's frame, until it knows what the API offers. */
export function Starting() {
  return html`
    <div class="layout">
      <div class="sidebar"><div class="sidebar-head" /><${Skeleton} kind="rows" rows=${7} label="Starting" /></div>
      <main class="main" />
    </div>
  `;
}
