import { html, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { Field } from "./field.js";
import { ListField } from "./list_field.js";
import { explain, isGeneral, mistakesAt } from "./problems.js";

/** The comment and the tags of a rating. `onSaved` gets the stored feedback. */
export function FeedbackComment({ api, message, onClose, onSaved }) {
  const { rating } = message.feedback;
  const [comment, setComment] = useState(message.feedback.comment ?? "");
  const [tags, setTags] = useState(message.feedback.tags);
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

  return html`
    <${Dialog} title=${rating === "up" ? "What was good?" : "What was not good?"} onClose=${onClose}>
      <form class="form" onSubmit=${save} aria-busy=${busy} noValidate>
        <${Field} label="Comment" mistakes=${mistakesAt(error, "/comment", "The comment")}>
          ${(control) => html`
            <textarea ...${control} dir="auto" rows="4" autofocus
              value=${comment} onInput=${({ target }) => setComment(target.value)}></textarea>
          `}
        <//>
        <${ListField} label="Tags" help="Short labels, such as “no source” or “too long”."
          values=${tags} onChange=${setTags} error=${error} pointer="/tags" />
        ${isGeneral(error, ["/comment", "/tags"]) && html`<p class="notice error" role="alert">${explain(error)}</p>`}
        <div class="actions">
          <button type="button" class="button quiet" onClick=${onClose}>Cancel</button>
          <button class="button primary">${busy ? "Saving …" : "Save"}</button>
        </div>
      </form>
    <//>
  `;
}
