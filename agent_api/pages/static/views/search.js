import { html, memo, useEffect, useRef, useState } from "../html.js";
import { count, formatTime } from "./format.js";
import { Icon } from "./icons.js";
import { errorsAt, explain } from "./problems.js";

const DELAY_MS = 250;
const NOTHING = { results: null, next: null, error: null, loading: false };
const ROLES = { user: "User", assistant: "Assistant", system: "System" };

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
  const isMistake = error?.status === 422;
  if (!error && results === null) return html`<p class="muted">Searching …</p>`;
  if (results?.length === 0) return html`<${Hint} title="No message matches." />`;
  const item = (result) => html`<li key=${result.message_id}><${SearchResult} result=${result} onOpen=${onOpen} /></li>`;
  return html`
    <ol class="results ${loading ? "stale" : ""}" ref=${list}>${results?.map(item)}</ol>
    ${error && html`<p class="notice ${isMistake ? "" : "error"}">${mistake(error)}</p>`}
    ${(error ? !isMistake : next) && html`
      <button type="button" class="button" aria-busy=${loading} onClick=${more}>
        ${loading ? "Searching …" : error ? "Try again" : "Show more"}
      </button>
    `}
  `;
}

const SearchResult = memo(({ result, onOpen }) => {
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

// Search when the user has stopped typing. Earlier results stay until the new ones have arrived.
function useSearch(api, q, archived) {
  const [state, setState] = useState(NOTHING);
  const request = useRef(null);

  const ask = async (cursor, before) => {
    request.current?.abort();
    request.current = new AbortController();
    const { signal } = request.current;
    setState((current) => ({ ...current, error: null, loading: true }));
    try {
      // The next page is the same request with `cursor`. The answer does not say how many messages match.
      const { data } = await api.search({ q, archived: archived ? "all" : "false", limit: 20, cursor, signal });
      setState({ results: [...before, ...data.results], next: data.next_cursor, error: null, loading: false });
    } catch (error) {
      // What was found stays. `more` tries again.
      if (!signal.aborted) setState({ results: cursor ? before : null, next: cursor, error, loading: false });
    }
  };

  useEffect(() => {
    if (!q) {
      setState(NOTHING);
      return undefined;
    }
    const timer = setTimeout(() => ask(undefined, []), DELAY_MS);
    return () => {
      clearTimeout(timer);
      request.current?.abort();
    };
  }, [api, q, archived]);

  return { ...state, more: () => state.loading || ask(state.next ?? undefined, state.results ?? []) };
}
