import { html, memo, useEffect, useState } from "../html.js";
import { isStored } from "../store/outbox.js";
import { activeRuns } from "../store/state.js";
import { useStore } from "../store/store.js";
import { Composer } from "./composer.js";
import { Icon } from "./icons.js";
import { Message } from "./message.js";
import { LiveRun, RunEnd, Waiting } from "./pending.js";
import { useScrolling } from "./scrolling.js";
import { Empty, Failed, Skeleton } from "./states.js";
import { ThreadHead } from "./thread_head.js";

const NONE = [];

export function Thread({ app, id, show, onMenu }) {
  const { store } = app;
  const isNew = id === null || id === "new";
  const conversation = useStore(store, (state) => state.conversations[id]);
  const thread = useStore(store, (state) => state.threads[id]);
  const runs = useStore(store, (state) => state.runs);
  const outbox = useStore(store, (state) => state.outbox);
  const pages = thread?.pages ?? NONE;
  const active = isNew ? NONE : activeRuns({ runs }, id);
  const unsent = outbox.filter((each) => (each.conversation_id ?? "new") === (id ?? "new"));
  const waiting = unsent.filter((each) => each.status === "failed" || !isStored(store.get(), each));
  const visible = hideReplaced(pages, active);
  const lastId = pages.at(-1)?.at(-1);

  const loadOlder = () => app.threads.loadOlder(id);
  const { box, column, sentinel, isAtEnd, onScroll, toEnd, toMessage } = useScrolling({
    firstId: pages[0]?.[0],
    // After a failure the user decides when to try again, so that a failing server is left in peace.
    hasOlder: thread?.status === "ready" && thread.cursor !== null && !thread.problem,
    loadOlder,
  });
  const target = useStore(store, (state) => state.target);
  useEffect(() => {
    const element = target && document.getElementById(`message-${target}`);
    if (!element) return;
    store.set({ target: null });
    toMessage(element);
  }, [target, pages]);
  useMarkRead({ app, conversation, lastId, isAtEnd });
  useEffect(() => {
    document.title = isNew ? "Agent API" : `${conversation?.title ?? "…"} – Agent API`;
  }, [conversation?.title]);

  const isLoading = !isNew && (!thread || (thread.status === "loading" && pages.length === 0));
  const isEmpty = pages.length === 0 && waiting.length === 0 && active.length === 0;
  return html`
    <${ThreadHead} app=${app} conversation=${conversation} isNew=${isNew} show=${show} onMenu=${onMenu} />
    <div class="scroll" ref=${box} onScroll=${onScroll} tabindex="0" role="region" aria-label="Messages">
      <div class="column" ref=${column}>
        <div ref=${sentinel} class="sentinel" />
        ${thread?.cursor && (thread.problem
          ? html`<p class="older"><button type="button" class="button" onClick=${loadOlder}>Load older messages</button></p>`
          : html`<${Skeleton} kind="messages" rows=${1} label="Loading older messages" />`)}
        ${isLoading && html`<${Skeleton} kind="messages" rows=${4} label="Loading messages" />`}
        ${thread?.status === "failed" && html`
          <${Failed} title="The messages could not be loaded" problem=${thread.problem} onRetry=${() => app.threads.refresh(id)} />
        `}
        ${!isLoading && thread?.status !== "failed" && isEmpty && html`<${Welcome} isNew=${isNew} />`}
        ${visible.map((ids) => html`<${Page} key=${ids[0]} ids=${ids} app=${app} conversation=${conversation} show=${show} />`)}
        ${waiting.map((entry) => html`<${Waiting} key=${entry.key} entry=${entry} app=${app} />`)}
        ${active.map((run, place) => html`<${LiveRun} key=${run.id} run=${run} app=${app} isNext=${place === 0} />`)}
        ${!active.length && !unsent.length && html`<${RunEnd} app=${app} conversation=${conversation} lastId=${lastId} />`}
      </div>
    </div>
    <div class="below">
      ${!isAtEnd && html`
        <button type="button" class="icon-button to-end" aria-label="Jump to the newest message" onClick=${() => toEnd("smooth")}>
          <${Icon} name="arrowDown" />
        </button>
      `}
      <${Composer} app=${app} id=${id} conversation=${conversation} active=${active} onSent=${() => toEnd()} />
    </div>
  `;
}

/** A page of messages. The browser skips pages that cannot be seen (content-visibility in thread.css). */
const Page = memo(({ ids, app, conversation, show }) => html`
  <div class="page">
    ${ids.map((id) => html`<${Message} key=${id} id=${id} app=${app} role=${conversation?.role} owner=${conversation?.user_id} show=${show} />`)}
  </div>
`, (before, after) => before.ids === after.ids && before.conversation?.role === after.conversation?.role);

/** While an answer is replaced by another one, hide it and what came after it. */
function hideReplaced(pages, active) {
  const replaced = active.map((run) => run.input?.sibling_of).find(Boolean);
  if (!replaced) return pages;
  const place = pages.findIndex((ids) => ids.includes(replaced));
  if (place === -1) return pages;
  const rest = pages[place].slice(0, pages[place].indexOf(replaced));
  return [...pages.slice(0, place), ...(rest.length ? [rest] : [])];
}

function useMarkRead({ app, conversation, lastId, isAtEnd }) {
  const [isVisible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const onChange = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", onChange);
    return () => document.removeEventListener("visibilitychange", onChange);
  }, []);
  const unread = conversation?.unread_count ?? 0;
  useEffect(() => {
    if (unread > 0 && lastId && isAtEnd && isVisible) app.conversations.markRead(conversation.id, lastId);
  }, [unread, lastId, isAtEnd, isVisible]);
}

function Welcome({ isNew }) {
  if (!isNew) return html`<${Empty} icon="message" title="No messages yet"><p>Write the first one below.</p><//>`;
  return html`
    <${Empty} icon="message" title="What would you like to know?">
      <p>Your message starts a conversation. The agent below answers it, word by word.</p>
    <//>
  `;
}
