import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { DEFAULT_AGENT } from "../store/state.js";

/** A text field in the place of a message. It saves only over the text that the user has seen. */
export function EditMessage({ app, message, role, onClose }) {
  const [opened] = useState(message.content);
  const [text, setText] = useState(opened);
  const [problem, setProblem] = useState(null);
  const [etag, setEtag] = useState(null);
  const field = useRef(null);

  const read = async () => {
    const found = await app.threads.refreshMessage(message.id);
    setEtag(found?.etag ?? null);
    return found;
  };
  /** Read the ETag, which lists do not have. Returns it only if the text is still the one to be edited. */
  const readUnchanged = async () => {
    const found = await read();
    if (found?.message.content === opened) return found.etag;
    setProblem(found ? { status: 412 } : { message: "The message could not be read. Try again." });
    return null;
  };
  useEffect(() => {
    readUnchanged();
  }, []);
  useLayoutEffect(() => {
    field.current.focus({ preventScroll: true });
    field.current.parentElement.scrollIntoView({ block: "nearest" });
    field.current.setSelectionRange(text.length, text.length);
  }, []);

  const save = async () => {
    try {
      // Without it the request would overwrite any text: the first reading has failed, or goes on.
      const seen = etag ?? (await readUnchanged());
      if (!seen) return;
      await app.threads.edit(message, text, seen);
      onClose();
    } catch (error) {
      // 412: somebody was faster. Read their text, and let the user decide.
      if (error.status === 412) await read();
      setProblem(error);
    }
  };
  const askAgain = () => {
    const { agent_id } = app.store.get().conversations[message.conversation_id];
    const agent = role === "owner" ? (agent_id ?? DEFAULT_AGENT) : null;
    app.outbox.send({ conversation_id: message.conversation_id, content: text, agent_id: agent, sibling_of: message.id });
    onClose();
  };
  const onKeyDown = (event) => {
    if (event.key === "Escape" && !event.isComposing && text === opened) onClose();
  };
  const isQuestion = message.role === "user";
  const isSame = text === message.content || !text.trim();
  return html`
    <div class="edit" onKeyDown=${onKeyDown}>
      <textarea ref=${field} rows=${Math.min(16, text.split("\n").length + 1)} value=${text} dir="auto" aria-label="Text of the message"
        onInput=${(event) => setText(event.target.value)} />
      ${problem && html`
        <p class="notice error" role="alert">
          ${problem.status === 412 ? "Somebody changed this message meanwhile. Save again to replace their text:" : problem.message}
          ${problem.status === 412 && html`<span dir="auto">“${app.store.get().messages[message.id]?.content}”</span>`}
        </p>
      `}
      <div class="actions">
        <button type="button" class="button quiet" onClick=${onClose}>Cancel</button>
        <button type="button" class=${isQuestion ? "button" : "button primary"} disabled=${isSame} onClick=${save}>Save</button>
        ${isQuestion && html`<button type="button" class="button primary" disabled=${!text.trim()} onClick=${askAgain}>Ask again</button>`}
      </div>
    </div>
  `;
}
