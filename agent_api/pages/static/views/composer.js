import { html, useLayoutEffect, useRef, useState } from "../html.js";
import { DEFAULT_AGENT } from "../store/state.js";
import { useStore } from "../store/store.js";
import { Icon } from "./icons.js";

export function Composer({ app, id, conversation, active, onSent }) {
  const place = id ?? "new";
  const [text, setText] = useState(app.drafts.get(place) ?? "");
  const [chosen, setChosen] = useState(DEFAULT_AGENT);
  const field = useRef(null);
  const agent = conversation ? (conversation.agent_id ?? DEFAULT_AGENT) : chosen;
  const isOwner = !conversation || conversation.role === "owner";
  const isBusy = active.length > 0;

  const write = (value) => {
    setText(value);
    app.drafts.set(place, value);
  };
  useLayoutEffect(() => {
    field.current?.style.setProperty("block-size", "auto");
    field.current?.style.setProperty("block-size", `${field.current.scrollHeight}px`);
  }, [text]);
  useLayoutEffect(() => {
    // On a phone the keyboard would cover what the user came to read.
    if (!matchMedia("(pointer: coarse)").matches) field.current?.focus();
  }, []);

  if (conversation?.role === "viewer") {
    return html`<p class="composer-note">You can read this conversation. Ask its owner for another role if you want to write.</p>`;
  }

  const send = () => {
    if (!text.trim() || isBusy) return;
    // Only the owner of a conversation may start agents in it.
    app.outbox.send({ conversation_id: conversation?.id ?? null, content: text, agent_id: isOwner ? agent : null });
    write("");
    field.current.focus();
    onSent();
  };
  const onKeyDown = (event) => {
    // While a word is composed (Chinese, Japanese, Korean), Enter belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };
  const setAgent = (name) => {
    if (name === agent) return;
    if (conversation) app.conversations.update(conversation.id, { agent_id: name });
    else setChosen(name);
  };
  const stop = () => active.forEach((run) => app.runs.cancel(run.id));
  return html`
    <form class="composer" onSubmit=${(event) => (event.preventDefault(), send())}>
      <textarea ref=${field} rows="1" value=${text} dir="auto" placeholder="Write a message" aria-label="Message"
        aria-describedby="composer-help" onInput=${(event) => write(event.target.value)} onKeyDown=${onKeyDown} />
      <div class="composer-row">
        ${isOwner ? html`<${Agent} app=${app} agent=${agent} onChange=${setAgent} />` : html`<span>Everyone in this conversation sees your message.</span>`}
        <span class="composer-help" id="composer-help">Enter sends, Shift+Enter starts a new line</span>
        ${isBusy && isOwner
          ? html`<button type="button" class="send stop" aria-label="Stop" title="Stop" onClick=${stop}><${Icon} name="stop" /></button>`
          : html`<button class="send" aria-label="Send" title="Send" disabled=${!text.trim() || isBusy}><${Icon} name="send" /></button>`}
      </div>
    </form>
  `;
}

/** Which agent answers. Workers claim runs by this name. */
function Agent({ app, agent, onChange }) {
  const [text, setText] = useState(null); // while it is typed
  const conversations = useStore(app.store, (state) => state.conversations);
  const known = new Set([DEFAULT_AGENT, ...Object.values(conversations).map((each) => each.agent_id)].filter(Boolean));
  const finish = () => {
    if (text?.trim()) onChange(text.trim());
    setText(null);
  };
  const onKeyDown = (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault(); // it must not send the message
    finish();
  };
  return html`
    <label class="agent">
      <span>Agent</span>
      <input value=${text ?? agent} list="agents" maxlength="255" dir="auto" spellcheck="false" autocomplete="off"
        onInput=${(event) => setText(event.target.value)} onKeyDown=${onKeyDown} onBlur=${finish} />
      <datalist id="agents">${[...known].slice(0, 50).map((name) => html`<option key=${name} value=${name} />`)}</datalist>
    </label>
  `;
}
