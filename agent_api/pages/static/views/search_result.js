import { html, memo } from "../html.js";
import { formatTime } from "./format.js";

const ROLES = { user: "User", assistant: "Assistant", system: "System" };

export const SearchResult = memo(({ result, onOpen }) => {
  const { conversation } = result;
  const open = () => onOpen({ conversation_id: conversation.id, message_id: result.message_id });
  return html`
    <button type="button" class="result" onClick=${open}>
      <span class="result-title" dir="auto">${conversation.title}</span>
      <span class="result-text" dir="auto">${highlighted(result.snippet, result.highlights)}</span>
      <span class="result-facts">
        <span>${ROLES[result.role] ?? result.role}</span>
        <time datetime=${result.created_at}>${formatTime(result.created_at)}</time>
        ${conversation.archived && html`<span class="tag">archived</span>`}
        ${conversation.shared_by && html`<span class="tag" dir="auto">from ${conversation.shared_by}</span>`}
      </span>
    </button>
  `;
});

// `highlights` are offsets in UTF-16 code units, as JavaScript's strings have them, and never HTML.
function highlighted(text, highlights) {
  const pieces = [];
  let end = 0;
  for (const place of highlights) {
    pieces.push(text.slice(end, place.start), html`<mark>${text.slice(place.start, place.end)}</mark>`);
    end = place.end;
  }
  return [...pieces, text.slice(end)];
}
