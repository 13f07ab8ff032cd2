// Puts the store and the actions together. Views get this object as `app`.
import { conversationActions } from "./conversations.js";
import { outboxActions } from "./outbox.js";
import { runActions } from "./runs.js";
import { initialState, rethrowMistake } from "./state.js";
import { createStore } from "./store.js";
import { startSync } from "./sync.js";
import { threadActions } from "./threads.js";

const draftsOf = new Map(); // by user, because a token can expire while they write

export function createApp({ api, me, notify }) {
  const store = createStore({ ...initialState });
  const drafts = draftsOf.get(me) ?? new Map(); // what was written and not sent, by conversation
  draftsOf.set(me, drafts);
  const base = { api, me, store, notify, announce, drafts };
  const conversations = conversationActions(base);
  const threads = threadActions(base);
  const runs = runActions({ ...base, threads });
  const outbox = outboxActions({ ...base, conversations, threads, runs });

  /** Tell people who use a screen reader about a finished answer, not about each of its words. */
  function announce(run) {
    const answers = Object.values(store.get().messages).filter((message) => message.run_id === run.id);
    const text = answers.at(-1)?.content ?? "";
    const said = { succeeded: "Answer", cancelled: "Stopped" }[run.status] ?? "The answer failed";
    store.set({ announcement: text ? `${said}: ${text.slice(0, 500)}` : `${said}.` });
  }

  async function open(id) {
    if (store.get().openId === id) return;
    runs.unfollowAll();
    store.set({ openId: id });
    if (id === null || id === "new") return;
    try {
      const reads = [threads.refresh(id)];
      if (!store.get().conversations[id]) reads.push(conversations.refresh(id));
      await Promise.all(reads);
      if (store.get().conversations[id]) await runs.watch(id);
      else notify("This conversation does not exist, or is not shared with you.", { kind: "error" });
    } catch (problem) {
      rethrowMistake(problem);
    }
  }

  /** Open a conversation at one of its messages. */
  async function showMessage({ conversation_id, message_id }) {
    await open(conversation_id);
    if (await threads.loadUntil(conversation_id, message_id)) {
      store.set({ target: message_id });
      return;
    }
    const { problem } = store.get().threads[conversation_id] ?? {};
    if (problem) return notify(`The message could not be loaded. ${problem.message}`, { kind: "error" });
    const show = async () => {
      await threads.activate(conversation_id, message_id);
      await showMessage({ conversation_id, message_id });
    };
    const mayActivate = store.get().conversations[conversation_id]?.role !== "viewer";
    const action = mayActivate ? { label: "Show it", run: show } : null;
    notify("This message belongs to another version of the conversation.", { action, seconds: 15 });
  }

  async function fork(id, upTo) {
    const copy = await conversations.fork(id, upTo);
    if (!copy) return;
    await open(copy.id);
    notify("This is your copy.");
  }

  return {
    api, me, store, drafts, notify, open, showMessage, fork, conversations, threads, runs, outbox,
    sync: (events) => startSync({ api, store, conversations, threads, runs, ...events }),
  };
}
