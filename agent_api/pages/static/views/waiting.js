// A message that the server has not confirmed yet.
import { html } from "../html.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";

const STATUS = { sending: "Sending …", waiting: "Not sent yet. Trying again …" };

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
