import { Guard, html, memo, useState } from "../html.js";
import { DEFAULT_AGENT } from "../store/state.js";
import { useStore } from "../store/store.js";
import { Chips } from "./attachments.js";
import { Details } from "./details.js";
import { EditMessage } from "./edit_message.js";
import { Feedback } from "./feedback.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";
import { Menu } from "./menu.js";
import { fullTime, timeOfDay } from "./format.js";

export const Message = memo(({ id, app, role, owner, show }) => {
  const message = useStore(app.store, (state) => state.messages[id]);
  const run = useStore(app.store, (state) => state.runs[message.run_id]);
  const [editing, setEditing] = useState(false);
  const close = () => {
    setEditing(false);
    focusMessage(id);
  };
  const name = nameOf({ message, app, owner, run });
  return html`
    <article class=${`message ${message.role}`} id=${`message-${id}`} tabindex="-1">
      <h2 class=${name === "You" ? "visually-hidden" : "message-name"} dir="auto">${name}</h2>
      ${editing
        ? html`<${EditMessage} app=${app} message=${message} role=${role} onClose=${close} />`
        : html`
          <${Guard} instead=${html`<p class="muted">This message cannot be displayed.</p>`}>
            <div class="bubble">${message.content ? html`<${Markdown} text=${message.content} />` : html`<p class="muted">No text</p>`}</div>
            <${Chips} api=${app.api} message=${message} />
            <${Details} message=${message} />
          <//>
          ${run?.status === "cancelled" && html`<p class="message-status">Stopped</p>`}
          <${Actions} app=${app} message=${message} role=${role} show=${show} onEdit=${() => setEditing(true)} />
        `}
    </article>
  `;
});

/** `author` is the member who posted it; null means the owner, or a worker for the owner. */
function nameOf({ message, app, owner, run }) {
  if (message.role === "system") return "System";
  if (message.role === "assistant") return run?.agent_id ?? "Agent";
  const author = message.author ?? owner;
  return author === app.me || !author ? "You" : author;
}

// The button or field that had the focus is gone.
const focusMessage = (id) => document.getElementById(`message-${id}`)?.focus({ preventScroll: true });

function Actions({ app, message, role, show, onEdit }) {
  const { id, conversation_id, sibling_index: index, sibling_count: count } = message;
  const isOwner = role === "owner";
  const isEditor = role === "editor";
  const mayEdit = isOwner || (isEditor && message.author === app.me);
  const copy = async () => {
    await navigator.clipboard.writeText(message.content);
    app.notify("Copied.");
  };
  const switchBranch = async (step) => focusMessage(await app.threads.switchBranch(message, step));
  const regenerate = () => {
    const { agent_id } = app.store.get().conversations[conversation_id];
    const question = { message_id: message.parent_id, sibling_of: id };
    app.outbox.answerAgain({ conversation_id, agent_id: agent_id ?? DEFAULT_AGENT, ...question });
  };
  const buttons = [
    navigator.clipboard && { label: "Copy", icon: "copy", run: copy },
    mayEdit && { label: "Edit", icon: "edit", run: onEdit },
    isOwner && message.role === "assistant" && message.parent_id && { label: "Answer again", icon: "refresh", run: regenerate },
  ].filter(Boolean);
  const remove = async () => {
    await app.threads.remove(message);
    if (document.activeElement === document.body) focusMessage(message.parent_id);
  };
  const items = [
    // A phone has no room for the buttons, so they are items of the menu there.
    ...buttons.map((each) => ({ ...each, className: "only-narrow" })),
    { label: "Copy the conversation up to here", icon: "fork", run: () => app.fork(conversation_id, id) },
    isOwner && { label: "Delete", icon: "trash", className: "danger", run: remove },
  ];
  return html`
    <footer class="message-actions">
      ${count > 1 && html`
        <span class="branches">
          <button type="button" class="icon-button" aria-label="Previous version" disabled=${index === 1 || role === "viewer"}
            onClick=${() => switchBranch(-1)}><${Icon} name="left" /></button>
          <bdi>${index} of ${count}</bdi>
          <button type="button" class="icon-button" aria-label="Next version" disabled=${index === count || role === "viewer"}
            onClick=${() => switchBranch(1)}><${Icon} name="right" /></button>
        </span>
      `}
      ${message.role === "assistant" && html`
        <span class=${message.feedback ? "" : "on-hover"}><${Feedback} api=${app.api} message=${message} onChanged=${app.threads.put} /></span>
      `}
      <span class="on-hover">
        ${buttons.map(({ label, icon, run }) => html`
          <button key=${label} type="button" class="icon-button only-wide" aria-label=${label} title=${label} onClick=${run}>
            <${Icon} name=${icon} />
          </button>
        `)}
        <${Menu} label="More" items=${items} />
      </span>
      ${message.version > 1 && html`
        <button type="button" class="edited" onClick=${() => show("versions", id)}>Edited</button>
      `}
      <time datetime=${message.created_at} title=${fullTime(message.created_at)}>${timeOfDay(message.created_at)}</time>
    </footer>
  `;
}
