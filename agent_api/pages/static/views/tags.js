import { html, useRef, useState } from "../html.js";
import { ListField } from "./list_field.js";
import { explain, isGeneral } from "./problems.js";
import { Failure } from "./request.js";

// Each member of a shared conversation has tags of their own.
export function Tags({ api, conversation, onChanged, notify }) {
  // What the user wants, until it is saved. After that, the conversation has it.
  const [wanted, setWanted] = useState(null);
  const [error, setError] = useState(null);
  const box = useRef(null);
  const last = useRef(Promise.resolve());

  // `tags` replaces all tags, so requests are sent one after the other: an earlier one must not arrive last.
  const change = (tags) => {
    setWanted(tags);
    last.current = last.current.then(() => save(tags));
  };

  const save = async (tags) => {
    try {
      const { data } = await api.update_conversation({ conversation_id: conversation.id, body: { tags } });
      setError(null);
      onChanged(data);
      setWanted((latest) => (latest === tags ? null : latest));
    } catch (problem) {
      if (box.current) setError(problem);
      else notify(`Not saved. ${explain(problem)}`, { kind: "error" });
    }
  };

  return html`
    <div class="stack" ref=${box}>
      <${ListField} label="Tags" help="Up to 20. Only you see them. Changes are saved at once."
        values=${wanted ?? conversation.tags} onChange=${change} error=${error} pointer="/tags" autofocus />
      ${isGeneral(error, ["/tags"]) && html`<${Failure} error=${error} onRetry=${() => change(wanted)} />`}
    </div>
  `;
}
