// What comes after the messages of a thread: those that the server has not confirmed, and runs of agents.
import { html, useEffect, useState } from "../html.js";
import { DEFAULT_AGENT } from "../store/state.js";
import { useStore } from "../store/store.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";

const NO_WORKER_AFTER_MS = 5000;
const STATUS = { sending: "Sending …", waiting: "Not sent yet. Trying again …" };

/** A message that the server has not confirmed yet. */
export function Waiting({ entry, app }) {
  const { key, content, status, problem, message_id } = entry;
  const isPosted = Boolean(message_id);
  const again = () => app.outbox.retry(key);
  const failed = status === "failed" && html`
    <div class="notice error" role="alert">
      <p>${isPosted ? "The agent was not started." : "Not sent."} ${problem}</p>
      <div class="actions">
        <button type="button" class="button" onClick=${() => app.outbox.discard(key)}>Discard</button>
        <button type="button" class="button" onClick=${again}><${Icon} name="refresh" />Try again</button>
      </div>
    </div>
  `;
  if (isPosted) return failed || null;
  return html`
    <article class="message user waiting">
      <h2 class="visually-hidden">You</h2>
      <div class="bubble"><${Markdown} text=${content} /></div>
      ${failed || html`<p class="message-status" role="status">${STATUS[status]}</p>`}
    </article>
  `;
}

/** What an agent says while it works. */
export function LiveRun({ run, app, isNext }) {
  const live = useStore(app.store, (state) => state.live[run.id]);
  const isPending = run.status === "pending";
  const isStopping = Boolean(run.cancel_requested_at);
  const note = isStopping ? "Stopping …" : isPending ? "Waiting for the agent …" : live?.note || (live?.text ? "" : "Thinking …");
  return html`
    <article class="message assistant live" aria-busy="true">
      <h2 class="message-name" dir="auto">${run.agent_id ?? "Agent"}</h2>
      ${live?.text && html`<div class="bubble"><${Markdown} text=${live.text} /></div>`}
      ${note && html`<p class="message-status"><span class="dots" aria-hidden="true"><i /><i /><i /></span>${note}</p>`}
      ${isPending && isNext && html`<${NoWorker} run=${run} />`}
    </article>
  `;
}

/** A pending run needs a worker that claims it. If none does, say how to start one. */
function NoWorker({ run }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), NO_WORKER_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!late || !run.agent_id) return null;
  const agent = run.agent_id === DEFAULT_AGENT ? "" : ` --agent ${quoted(run.agent_id)}`;
  return html`
    <div class="notice" role="status">
      <p>No worker has taken this run. It waits until one does. To start one that repeats what you write:</p>
      <code class="command">.venv/bin/agent-api worker --echo${agent}</code>
    </div>
  `;
}

const quoted = (name) => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

const ENDS = {
  failed: "The agent failed.",
  timeout: "The agent did not answer in time.",
  cancelled: "Stopped before an answer.",
};

/** Say how the newest run ended if it left no answer to the last message. */
export function RunEnd({ app, conversation, lastId }) {
  const { store } = app;
  const last = useStore(store, (state) => state.messages[lastId]);
  const run = useStore(store, (state) => newestRun(state.runs, conversation?.id));
  if (!run || !ENDS[run.status] || last?.role !== "user" || run.created_at < last.created_at) return null;
  const again = () =>
    app.outbox.answerAgain({ conversation_id: conversation.id, agent_id: run.agent_id, message_id: lastId });
  return html`
    <div class=${run.status === "cancelled" ? "notice run-end" : "notice error run-end"} role="status">
      <p>${ENDS[run.status]} ${run.error}</p>
      ${conversation.role === "owner" && html`
        <button type="button" class="button" onClick=${again}><${Icon} name="refresh" />Ask again</button>
      `}
    </div>
  `;
}

function newestRun(runs, conversationId) {
  return Object.values(runs)
    .filter((run) => run.conversation_id === conversationId)
    .reduce((newest, run) => (!newest || run.created_at > newest.created_at ? run : newest), null);
}
