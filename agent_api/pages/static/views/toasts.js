// Short messages at the edge of the page: notify("Archived.", { action: { label: "Undo", run } }).
import { html } from "../html.js";
import { createStore, useStore } from "../store/store.js";
import { Icon } from "./icons.js";

const toasts = createStore({ shown: [] });
const SECONDS = { info: 6, error: 10 };
const MOST = 3;

let last = 0;

export function notify(text, { action = null, kind = "info", seconds = SECONDS[kind] } = {}) {
  const toast = { id: (last += 1), text, action, kind };
  const same = (each) => each.text === text && each.action === null;
  toasts.set(({ shown }) => ({ shown: [...shown.filter((each) => !same(each)), toast].slice(-MOST) }));
  setTimeout(() => close(toast.id), seconds * 1000);
}

/** Remove all, because they belong to a user who has signed out. */
export const clearToasts = () => toasts.set({ shown: [] });

const close = (id) => toasts.set(({ shown }) => ({ shown: shown.filter((toast) => toast.id !== id) }));

/** Both regions stay in the page, because screen readers watch only regions that they know. */
export function Toasts() {
  const shown = useStore(toasts, (state) => state.shown);
  const ofKind = (kind) => shown.filter((toast) => toast.kind === kind);
  return html`
    <div class="toasts">
      <div role="alert">${ofKind("error").map((toast) => html`<${Toast} key=${toast.id} toast=${toast} />`)}</div>
      <div role="status">${ofKind("info").map((toast) => html`<${Toast} key=${toast.id} toast=${toast} />`)}</div>
    </div>
  `;
}

function Toast({ toast: { id, text, action, kind } }) {
  const run = () => {
    close(id);
    action.run();
  };
  return html`
    <div class=${`toast ${kind}`}>
      <span class="toast-text" dir="auto">${text}</span>
      ${action && html`<button type="button" class="toast-action" onClick=${run}>${action.label}</button>`}
      <button type="button" class="icon-button" aria-label="Dismiss" onClick=${() => close(id)}><${Icon} name="close" /></button>
    </div>
  `;
}
