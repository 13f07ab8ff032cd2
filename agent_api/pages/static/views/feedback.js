import { html, useId, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { ListField } from "./list_field.js";
import { errorsAt, explain, isGeneral } from "./problems.js";

const UP = "M7 11v9H4v-9zM7 11l4-7c1.5 0 2.5 1 2.2 2.6L12.5 10H19a1.5 1.5 0 0 1 1.5 1.8l-1.3 6.7a2 2 0 0 1-2 1.5H7";
const DOWN = "M7 13V4H4v9zM7 13l4 7c1.5 0 2.5-1 2.2-2.6L12.5 14H19a1.5 1.5 0 0 0 1.5-1.8l-1.3-6.7a2 2 0 0 0-2-1.5H7";
const COMMENT = "M4 5h16v11H12l-4 4v-4H4z";

// Everybody who can read a message may rate it, and sees only their own feedback.
export function Feedback({ api, message, onChanged = () => {} }) {
  const [pending, setPending] = useState(null);
  const [error, setError] = useState(null);
  const [writing, setWriting] = useState(false);
  const { feedback } = message;
  const shown = pending ?? feedback?.rating ?? null;

  const rate = async (rating) => {
    if (pending) return;
    setPending(rating === feedback?.rating ? "none" : rating);
    setError(null);
    try {
      onChanged({ ...message, feedback: await send(rating) });
    } catch (problem) {
      setError(problem);
    }
    setPending(null);
  };

  const send = async (rating) => {
    if (rating === feedback?.rating) {
      await withdraw(api, message.id);
      return null;
    }
    // The request replaces the feedback as a whole, so what stays has to be sent again.
    const body = { rating, tags: feedback?.tags, comment: feedback?.comment };
    return (await api.set_feedback({ message_id: message.id, body })).data;
  };

  return html`
    <span class="feedback" role="group" aria-label="Your feedback">
      <${Thumb} label="Good answer" path=${UP} pressed=${shown === "up"} onClick=${() => rate("up")} />
      <${Thumb} label="Bad answer" path=${DOWN} pressed=${shown === "down"} onClick=${() => rate("down")} />
      ${feedback && html`
        <button type="button" class="icon-button" aria-label=${feedback.comment ? "Change your comment" : "Add a comment"}
          title=${feedback.comment ?? "Add a comment"} aria-haspopup="dialog" onClick=${() => setWriting(true)}>
          <svg class="icon ${feedback.comment || feedback.tags.length ? "filled" : ""}" viewBox="0 0 24 24" aria-hidden="true"><path d=${COMMENT} /></svg>
        </button>
      `}
      ${error && html`<span class="error" role="alert">${explain(error)}</span>`}
      ${writing && html`
        <${Comment} api=${api} message=${message} onClose=${() => setWriting(false)} onSaved=${(data) => onChanged({ ...message, feedback: data })} />
      `}
    </span>
  `;
}

function Thumb({ label, path, pressed, onClick }) {
  return html`
    <button type="button" class="icon-button" aria-label=${label} title=${label} aria-pressed=${pressed ? "true" : "false"} onClick=${onClick}>
      <svg class="icon ${pressed ? "filled" : ""}" viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>
    </button>
  `;
}

async function withdraw(api, message_id) {
  try {
    await api.delete_feedback({ message_id });
  } catch (problem) {
    // There is no feedback any more, which is what was asked for.
    if (problem.status !== 404) throw problem;
  }
}

function Comment({ api, message, onClose, onSaved }) {
  const { feedback } = message;
  const [comment, setComment] = useState(feedback.comment ?? "");
  const [tags, setTags] = useState(feedback.tags);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const id = useId();
  const errors = errorsAt(error, "/comment");

  const save = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const body = { rating: feedback.rating, tags, comment: comment.trim() || null };
      onSaved((await api.set_feedback({ message_id: message.id, body })).data);
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };

  return html`
    <${Dialog} title=${feedback.rating === "up" ? "What was good?" : "What was not good?"} onClose=${onClose}>
      <form class="form" onSubmit=${save} noValidate>
        <div class="field">
          <label for=${id}>Comment</label>
          <textarea id=${id} dir="auto" rows="4" value=${comment} autofocus aria-invalid=${errors.length ? "true" : null}
            aria-describedby=${errors.length ? `${id}-error` : null} onInput=${({ target }) => setComment(target.value)}></textarea>
          ${errors.length > 0 && html`<p class="error" id="${id}-error">The comment ${errors.map((each) => each.detail).join(", ")}.</p>`}
        </div>
        <${ListField} label="Tags" help="Short labels, such as “no source” or “too long”." values=${tags} onChange=${setTags} error=${error} pointer="/tags" />
        ${isGeneral(error, ["/comment", "/tags"]) && html`<p class="notice error" role="alert">${explain(error)}</p>`}
        <div class="actions">
          <button type="button" class="button quiet" onClick=${onClose}>Cancel</button>
          <button class="button primary">${busy ? "Saving …" : "Save"}</button>
        </div>
      </form>
    <//>
  `;
}
