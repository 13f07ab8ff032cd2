import { html, useRef, useState } from "../html.js";
import { count } from "./format.js";
import { Icon } from "./icons.js";
import { errorsAt, explain } from "./problems.js";
import { SearchResult } from "./search_result.js";
import { useSearch } from "./use_search.js";

/** Search in all messages. `onOpen` gets the ids of a result's conversation and message. */
export function Search({ api, onOpen }) {
  const [text, setText] = useState("");
  const [archived, setArchived] = useState(false);
  const q = text.trim();
  const found = useSearch(api, q, archived);
  const field = useRef(null);
  const list = useRef(null);

  // Arrow keys go from the field to the results and back, Escape empties the field.
  const onKeyDown = (event) => {
    if (event.key === "Escape" && text) {
      // Otherwise the key would also close a dialog around the search.
      event.preventDefault();
      setText("");
      field.current.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [field.current, ...(list.current?.querySelectorAll("button.result") ?? [])];
    const at = stops.indexOf(document.activeElement);
    if (!step || at === -1 || !stops[at + step]) return;
    event.preventDefault();
    stops[at + step].focus();
  };

  return html`
    <search class="search" onKeyDown=${onKeyDown}>
      <div class="search-field">
        <${Icon} name="search" />
        <input ref=${field} type="search" dir="auto" autocomplete="off" autofocus maxlength="1000"
          aria-label="Search in messages" placeholder="Search in messages"
          value=${text} onInput=${({ target }) => setText(target.value)} />
      </div>
      ${q && html`
        <label class="check">
          <input type="checkbox" checked=${archived} onChange=${({ target }) => setArchived(target.checked)} />
          Also in archived conversations
        </label>
      `}
      <p class="visually-hidden" role="status">${q && summary(found)}</p>
      ${q ? html`<${Found} found=${found} list=${list} onOpen=${onOpen} />` : html`<${Hint} />`}
    </search>
  `;
}

function Found({ found, list, onOpen }) {
  const { results, error, loading, next, more } = found;
  if (error) return html`<p class="notice ${error.status === 422 ? "" : "error"}">${mistake(error)}</p>`;
  if (results === null) return html`<p class="muted">Searching …</p>`;
  if (results.length === 0) return html`<${Hint} title="No message matches." />`;
  const item = (result) => html`<li key=${result.message_id}><${SearchResult} result=${result} onOpen=${onOpen} /></li>`;
  return html`
    <ol class="results ${loading ? "stale" : ""}" ref=${list}>${results.map(item)}</ol>
    ${next && html`
      <button type="button" class="button" aria-busy=${loading} onClick=${more}>
        ${loading ? "Searching …" : "Show more"}
      </button>
    `}
  `;
}

function Hint({ title }) {
  return html`
    <div class="search-hint">
      ${title && html`<p><strong>${title}</strong></p>`}
      <p class="help">
        Words are compared whole. <code>"five years"</code> finds a phrase, <code>lease or rent</code> one of the two,
        and <code>-parking</code> leaves a word out.
      </p>
    </div>
  `;
}

// A search without words is a 422, for example while the user types "-parking".
function mistake(error) {
  const [first] = errorsAt(error, "/q");
  return first ? `The search ${first.detail}.` : explain(error);
}

function summary({ results, error, next }) {
  if (error) return mistake(error);
  if (results === null) return "Searching";
  if (results.length === 0) return "No message matches.";
  return `${count(results.length, "message", "messages")}${next ? ", and more" : ""}`;
}
