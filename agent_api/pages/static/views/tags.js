import { html, useRef, useState } from "../html.js";
import { ListField } from "./list_field.js";
import { explain, isGeneral } from "./problems.js";

// Each member of a shared conversation has tags of their own.
export function Tags({ api, conversation, onChanged = () => {} }) {
  const [tags, setTags] = useState(conversation.tags);
  const [error, setError] = useState(null);
  const last = useRef(Promise.resolve());

  // `tags` replaces all tags, so requests are sent one after the other: an earlier one must not arrive last.
  const change = (values) => {
    setTags(values);
    last.current = last.current.then(() => save(values));
  };

  const save = async (values) => {
    try {
      const { data } = await api.update_conversation({ conversation_id: conversation.id, body: { tags: values } });
      setError(null);
      onChanged(data);
    } catch (problem) {
      setError(problem);
    }
  };

  return html`
    <div class="stack">
      <${ListField} label="Tags" help="Up to 20. Only you see them." values=${tags} onChange=${change} error=${error} pointer="/tags" autofocus />
      ${isGeneral(error, ["/tags"]) && html`<p class="notice error" role="alert">${explain(error)}</p>`}
    </div>
  `;
}
