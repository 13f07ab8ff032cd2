// The list draws only the rows that can be seen, so ten thousand conversations scroll like ten.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { useStore } from "../store/store.js";
import { ConversationRow } from "./conversation_row.js";
import { Empty, Failed, Skeleton } from "./states.js";

const ROW = 76; // pixels, as --row in layout.css
const SPARE = 6; // rows above and below those that can be seen
const AHEAD = 40; // rows before the end at which the next page is loaded

export function ConversationList({ app, show }) {
  const { store } = app;
  const list = useStore(store, (state) => state.list);
  const conversations = useStore(store, (state) => state.conversations);
  const deleting = useStore(store, (state) => state.deleting);
  const openId = useStore(store, (state) => state.openId);
  const filter = useStore(store, (state) => state.filter);
  const box = useRef(null);
  const [range, setRange] = useState({ first: 0, count: 20 });
  const ids = useMemo(() => list.ids.filter((id) => !deleting[id]), [list.ids, deleting]);

  const measure = () => {
    if (!box.current) return; // a scroll event after the user has signed out
    const first = Math.max(0, Math.floor(box.current.scrollTop / ROW) - SPARE);
    const count = Math.ceil(box.current.clientHeight / ROW) + 2 * SPARE;
    setRange((now) => (now.first === first && now.count === count ? now : { first, count }));
  };
  useLayoutEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(measure, [ids.length]);
  useEffect(() => {
    const isNear = range.first + range.count + AHEAD > ids.length;
    if (isNear && list.cursor !== null && list.status === "ready") app.conversations.load({ more: true });
  }, [range, ids.length, list]);

  const focusRow = (id) => {
    const index = ids.indexOf(id);
    const top = index * ROW;
    const { scrollTop, clientHeight } = box.current;
    if (top < scrollTop) box.current.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) box.current.scrollTop = top + ROW - clientHeight;
    measure();
    // A row that is drawn gets it at once, because the next key can come before the next frame.
    const find = () => box.current?.querySelector(`[data-id="${id}"]`);
    if (find()) find().focus();
    else requestAnimationFrame(() => find()?.focus());
  };
  const actions = useMemo(() => ({ ...app.conversations, fork: app.fork, show, focusRow: (id) => latest.current(id) }), [app]);
  const latest = useRef(focusRow);
  latest.current = focusRow;

  const onKeyDown = (event) => {
    const id = event.target.dataset?.id;
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!id || step === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(ids.length - 1, ids.indexOf(id) + step));
    focusRow(ids[to]);
  };

  const shown = ids.slice(range.first, range.first + range.count);
  return html`
    <div class="list" ref=${box} onScroll=${measure} onKeyDown=${onKeyDown}>
      ${ids.length === 0 && html`<${Instead} list=${list} filter=${filter} app=${app} />`}
      <ul class="rows" role="list" style=${{ blockSize: `${ids.length * ROW}px` }}>
        ${shown.map((id, place) => {
          const index = range.first + place;
          return html`
            <li key=${id} class="conversation" aria-setsize=${list.total} aria-posinset=${index + 1}
              style=${{ insetBlockStart: `${index * ROW}px` }}>
              <${ConversationRow} conversation=${conversations[id]} isOpen=${id === openId} actions=${actions} />
            </li>
          `;
        })}
      </ul>
      ${list.status === "failed" && ids.length > 0 && html`
        <p class="list-end"><button type="button" class="button" onClick=${() => app.conversations.load({ more: true })}>Load more</button></p>
      `}
    </div>
  `;
}

function Instead({ list, filter, app }) {
  if (list.status === "loading") return html`<${Skeleton} kind="rows" rows=${7} label="Loading conversations" />`;
  if (list.status === "failed") {
    return html`<${Failed} title="The list could not be loaded" problem=${list.problem} onRetry=${() => app.conversations.load()} />`;
  }
  if (filter.tag !== null) return html`<${Empty} icon="tag" title="Nothing has this tag" />`;
  if (filter.archived === "true") {
    return html`<${Empty} icon="archive" title="Nothing is archived"><p>Archive conversations that you want to keep, but not see.</p><//>`;
  }
  if (filter.shared === "true") {
    return html`<${Empty} icon="users" title="Nothing is shared with you"><p>Conversations that others share with you appear here.</p><//>`;
  }
  return html`
    <${Empty} icon="message" title="No conversations yet">
      <p>Write a message to begin one.</p>
    <//>
  `;
}
