import { html, useEffect, useState } from "../html.js";
import { explain } from "./problems.js";

// Runs `load(signal)` when the component appears and when an input changes; the signal aborts a request whose answer is not needed.
export function useRequest(load, inputs) {
  const [state, setState] = useState({ loading: true });
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    setState((before) => ({ data: before.data, loading: true }));
    load(signal).then(
      (data) => signal.aborted || setState({ data, loading: false }),
      (error) => signal.aborted || setState({ error, loading: false }),
    );
    return () => controller.abort();
  }, [...inputs, attempt]);

  return {
    ...state,
    reload: () => setAttempt((number) => number + 1),
    // A list that could not be read must not look like a short one.
    change: (update) => setState((before) => (before.data ? { ...before, data: update(before.data) } : before)),
  };
}

export function Loading({ what }) {
  return html`<p class="muted" role="status">Loading ${what} …</p>`;
}

export function Failure({ error, onRetry }) {
  return html`
    <div class="notice error" role="alert">
      <p dir="auto">${explain(error)}</p>
      ${onRetry && html`<button type="button" class="button" onClick=${onRetry}>Try again</button>`}
    </div>
  `;
}
