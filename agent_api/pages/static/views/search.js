import { html, useEffect, useId, useRef, useState } from "../html.js";
import { SearchResult } from "./search_result.js";
import { count } from "./format.js";
import { errorsAt, explain } from "./problems.js";

const DELAY_MS = 250;

export function Search({ api, onOpen, onQuery = () => {} }) {
  const [text, setText] = useState("");
  const [archived, setArchived] = useState(false);
  const found = useSearch(api, text.trim(), archived);
  const field = useRef(null);
  const list = useRef(null);
  const id = useId();

  const type = (value) => {
    setText(value);
    onQuery(value.trim());
  };
  // Arrow keys go from the field to the results and back, Escape empties the field.
  const onKeyDown = (event) => {
    if (event.key === "Escape" && text) {
      // Without this, the key would also close a dialog around the search.
      event.preventDefault();
      type("");
      field.current.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [field.current, ...(list.current?.querySelectorAll("button.result") ?? [])];
    const next = stops[stops.indexOf(document.activeElement) + step];
    if (!next || !stops.includes(document.activeElement)) return;
    event.preventDefault();
    next.focus();
  };

  return html`
    <search class="search" onKeyDown=${onKeyDown}>
      <div class="search-field">
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><circle cx="11" cy="11" r="6.5" /><path d="M16 16l4.5 4.5" /></svg>
        <input ref=${field} type="search" dir="auto" aria-label="Search in messages" placeholder="Search in messages" autocomplete="off" autofocus maxlength="1000"
          value=${text} aria-describedby="${id}-said" onInput=${({ target }) => type(target.value)} />
      </div>
      ${text.trim() && html`
        <label class="check"><input type="checkbox" checked=${archived} onChange=${({ target }) => setArchived(target.checked)} />Also in archived conversations</label>
      `}
      <p class="visually-hidden" role="status" id="${id}-said">${text.trim() ? summary(found) : ""}</p>
      ${text.trim() && html`<${Found} found=${found} list=${list} onOpen=${onOpen} />`}
    </search>
  `;
}

function Found({ found, list, onOpen }) {
  const { results, error, loading, next, more } = found;
  if (error) return html`<p class="notice ${error.status === 422 ? "" : "error"}">${mistake(error)}</p>`;
  if (results === null) return html`<p class="muted loading">Searching …</p>`;
  if (results.length === 0) return html`<${Nothing} />`;
  return html`
    <ol class="results ${loading ? "stale" : ""}" ref=${list}>
      ${results.map((result) => html`<li key=${result.message_id}><${SearchResult} result=${result} onOpen=${onOpen} /></li>`)}
    </ol>
    ${next && html`<button type="button" class="button" onClick=${more} disabled=${loading}>${loading ? "Searching …" : "Show more"}</button>`}
  `;
}

function Nothing() {
  return html`
    <div class="search-empty">
      <p><strong>No message matches.</strong></p>
      <p class="help">Words are compared whole. <code>"five years"</code> finds a phrase, <code>lease or rent</code> one of the two, and <code>-parking</code> leaves a word out.</p>
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

// Searches when the user has stopped typing. Earlier results stay until the new ones have arrived.
function useSearch(api, q, archived) {
  const [state, setState] = useState({ results: null, next: null, error: null, loading: false });
  const controller = useRef(null);

  const ask = async (cursor, before) => {
    controller.current?.abort();
    controller.current = new AbortController();
    const { signal } = controller.current;
    setState((current) => ({ ...current, error: null, loading: true }));
    try {
      // The next page is the same request with `cursor`. The answer does not say how many messages match.
      const { data } = await api.search({ q, archived: archived ? "all" : "false", limit: 20, cursor, signal });
      setState({ results: [...before, ...data.results], next: data.next_cursor, error: null, loading: false });
    } catch (error) {
      if (!signal.aborted) setState({ results: null, next: null, error, loading: false });
    }
  };

  useEffect(() => {
    if (!q) return setState({ results: null, next: null, error: null, loading: false });
    const timer = setTimeout(() => ask(undefined, []), DELAY_MS);
    return () => {
      clearTimeout(timer);
      controller.current?.abort();
    };
  }, [api, q, archived]);

  return { ...state, more: () => ask(state.next, state.results) };
}
