import { html, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { Field } from "./field.js";
import { Icon } from "./icons.js";
import { ListField } from "./list_field.js";
import { explain, isGeneral, mistakesAt } from "./problems.js";
import { Failure } from "./request.js";

/** Thumbs up and down. Everybody who can read a message may rate it, and sees only their own feedback. */
export function Feedback({ api, message, onChanged }) {
  const [pending, setPending] = useState(null);
  const [error, setError] = useState(null);
  const [writing, setWriting] = useState(false);
  const { feedback } = message;
  const rating = pending ?? feedback?.rating;
  const put = (data) => onChanged({ ...message, feedback: data });

  // The same thumb again withdraws the feedback.
  const rate = async (wanted) => {
    if (pending) return;
    const isWithdrawn = wanted === feedback?.rating;
    setPending(isWithdrawn ? "none" : wanted);
    setError(null);
    try {
      put(isWithdrawn ? await withdraw(api, message.id) : await send(api, message, wanted));
    } catch (problem) {
      setError(problem);
    }
    setPending(null);
  };

  const says = Boolean(feedback?.comment || feedback?.tags.length);
  return html`
    <span class="feedback" role="group" aria-label="Your feedback" aria-busy=${pending !== null}>
      <${Thumb} label="Good answer" icon="thumbUp" pressed=${rating === "up"} onClick=${() => rate("up")} />
      <${Thumb} label="Bad answer" icon="thumbDown" pressed=${rating === "down"} onClick=${() => rate("down")} />
      ${feedback && html`
        <button type="button" class="icon-button ${says ? "filled" : ""}" aria-haspopup="dialog"
          aria-label=${says ? "Change your comment" : "Add a comment"} title=${feedback.comment ?? "Add a comment"}
          onClick=${() => setWriting(true)}><${Icon} name="message" /></button>
      `}
      ${error && html`<span class="error" role="alert">${explain(error)}</span>`}
      ${writing && html`
        <${FeedbackComment} api=${api} message=${message} onClose=${() => setWriting(false)} onSaved=${put} />
      `}
    </span>
  `;
}

function Thumb({ label, icon, pressed, onClick }) {
  return html`
    <button type="button" class="icon-button" aria-label=${label} title=${label} aria-pressed=${String(pressed)}
      onClick=${onClick}><${Icon} name=${icon} /></button>
  `;
}

// The comment and the tags of a rating. `onSaved` gets the stored feedback.
function FeedbackComment({ api, message, onClose, onSaved }) {
  const [opened] = useState(message.feedback); // it can be withdrawn elsewhere
  const { rating } = opened;
  const [comment, setComment] = useState(opened.comment ?? "");
  const [tags, setTags] = useState(opened.tags);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);

  const save = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const body = { rating, tags, comment: comment.trim() || null };
      onSaved((await api.set_feedback({ message_id: message.id, body })).data);
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };

  const onKeyDown = (event) => {
    if (event.key === "Escape" && comment !== (opened.comment ?? "")) event.preventDefault();
  };

  return html`
    <${Dialog} title=${rating === "up" ? "What was good?" : "What was not good?"} onClose=${onClose}>
      <form class="form" onSubmit=${save} onKeyDown=${onKeyDown} aria-busy=${busy} noValidate>
        <${Field} label="Comment" mistakes=${mistakesAt(error, "/comment", "The comment")}>
          ${(control) => html`
            <textarea ...${control} dir="auto" rows="4" autofocus
              value=${comment} onInput=${({ target }) => setComment(target.value)}></textarea>
          `}
        <//>
        <${ListField} label="Tags" help="Short labels, such as “no source” or “too long”."
          values=${tags} onChange=${setTags} error=${error} pointer="/tags" />
        ${isGeneral(error, ["/comment", "/tags"]) && html`<${Failure} error=${error} />`}
        <div class="actions">
          <button type="button" class="button quiet" onClick=${onClose}>Cancel</button>
          <button class="button primary">${busy ? "Saving …" : "Save"}</button>
        </div>
      </form>
    <//>
  `;
}

async function send(api, { id, feedback }, rating) {
  // The request replaces the feedback as a whole, so what stays has to be sent again.
  const body = { rating, tags: feedback?.tags, comment: feedback?.comment };
  return (await api.set_feedback({ message_id: id, body })).data;
}

async function withdraw(api, message_id) {
  try {
    await api.delete_feedback({ message_id });
  } catch (problem) {
    // The feedback was withdrawn elsewhere, which is what was asked for.
    if (problem.status !== 404) throw problem;
  }
  return null;
}
