// The messages of the open conversation: pages of them, branches and edits.
import { PAGE_SIZE, idsOf, putMessages, repaginate, rethrowMistake, threadPatch } from "./state.js";

export function threadActions({ api, store, notify }) {
  const failed = (what) => (problem) => {
    rethrowMistake(problem);
    notify(`${what} ${problem.message}`, { kind: "error" });
  };

  let asked = 0; // counts requests, because a later one can be answered earlier

  /** Read the newest messages, and keep the older ones that are loaded already. Returns the problem, if there is one. */
  async function refresh(conversationId) {
    const mine = ++asked;
    const known = Boolean(store.get().threads[conversationId]?.pages.length);
    if (!known) store.set((state) => threadPatch(state, conversationId, { status: "loading", problem: null }));
    try {
      const { data } = await api.list_messages({
        conversation_id: conversationId,
        order: "desc",
        limit: PAGE_SIZE,
      });
      const newest = data.messages.toReversed();
      store.set((state) => {
        const thread = state.threads[conversationId];
        if (mine < thread?.asked) return undefined;
        const before = idsOf(thread);
        const place = newest.length ? before.indexOf(newest[0].id) : -1;
        // Each message has one parent. If the oldest of the new page is known, so is all before it.
        const ids = [...before.slice(0, Math.max(place, 0)), ...newest.map((message) => message.id)];
        const cursor = place === -1 ? data.next_cursor : thread.cursor;
        const pages = repaginate(place === -1 ? [] : thread.pages, ids);
        const patch = { pages, cursor, status: "ready", problem: null, asked: mine };
        return { messages: putMessages(state, newest), ...threadPatch(state, conversationId, patch) };
      });
    } catch (problem) {
      rethrowMistake(problem);
      store.set((state) => threadPatch(state, conversationId, { status: known ? "ready" : "failed", problem }));
      return problem;
    }
    return null;
  }

  /** Load the page before the oldest message. Returns whether there was one. */
  async function loadOlder(conversationId, limit = PAGE_SIZE) {
    const thread = store.get().threads[conversationId];
    if (!thread || thread.cursor === null || thread.status !== "ready") return false;
    const { cursor } = thread;
    store.set((state) => threadPatch(state, conversationId, { status: "older", problem: null }));
    try {
      const { data } = await api.list_messages({
        conversation_id: conversationId,
        order: "desc",
        limit,
        cursor,
      });
      const older = data.messages.toReversed();
      store.set((state) => {
        const { pages, cursor: now } = state.threads[conversationId];
        // Another branch became active meanwhile: this page belongs to the old one.
        if (now !== cursor) return threadPatch(state, conversationId, { status: "ready" });
        const ids = older.map((message) => message.id);
        const patch = { pages: [...repaginate([], ids), ...pages], cursor: data.next_cursor, status: "ready" };
        return { messages: putMessages(state, older), ...threadPatch(state, conversationId, patch) };
      });
      return true;
    } catch (problem) {
      rethrowMistake(problem);
      store.set((state) => threadPatch(state, conversationId, { status: "ready", problem }));
      return false;
    }
  }

  /** Load older messages until one is there, for a search result. Returns whether it was found. */
  async function loadUntil(conversationId, messageId) {
    for (;;) {
      const thread = store.get().threads[conversationId];
      if (idsOf(thread).includes(messageId)) return true;
      // The page may be on its way, because the user has scrolled to the top.
      if (thread?.status === "older") await new Promise((done) => setTimeout(done, 50));
      else if (!(await loadOlder(conversationId, 100))) return false;
    }
  }

  async function refreshMessage(id) {
    try {
      const { data, etag } = await api.get_message({ message_id: id });
      put(data);
      return { message: data, etag };
    } catch (problem) {
      if (problem.status === 404) drop(id);
      else rethrowMistake(problem);
      return null;
    }
  }

  function drop(id) {
    store.set((state) => {
      const conversationId = state.messages[id]?.conversation_id;
      const thread = state.threads[conversationId];
      if (!thread) return undefined;
      const without = (ids) => (ids.includes(id) ? ids.filter((each) => each !== id) : ids);
      const pages = thread.pages.map(without).filter((ids) => ids.length > 0);
      return threadPatch(state, conversationId, { pages });
    });
  }

  /** Save another text. `etag` is that of the text which the user saw; 412 means it has changed. */
  async function edit(message, content, etag) {
    const body = { content };
    if (message.parts) body.parts = null; // parts would still show the old text
    const { data } = await api.update_message({ message_id: message.id, body, "If-Match": etag });
    put(data);
  }

  async function remove(message) {
    await api.delete_message({ message_id: message.id }).catch(failed("Not deleted."));
    await refresh(message.conversation_id);
  }

  /** Switch to the version of a message before (-1) or after (1) this one. Returns its id. */
  async function switchBranch(message, step) {
    const { conversation_id } = message;
    try {
      const siblings = await findSiblings(message);
      const target = siblings.find((each) => each.sibling_index === message.sibling_index + step);
      if (target) await activate(conversation_id, target.id);
      return target?.id;
    } catch (problem) {
      failed("The version was not changed.")(problem);
      return null;
    }
  }

  async function activate(conversation_id, message_id) {
    await api.activate_message({ conversation_id, body: { message_id } }).catch(failed("The version was not changed."));
    await refresh(conversation_id);
  }

  /** The other versions of a message: messages of all branches with the same parent. */
  async function findSiblings(message) {
    const found = [];
    let cursor;
    do {
      const query = { conversation_id: message.conversation_id, branches: "all", order: "desc", limit: 500 };
      const { data } = await api.list_messages(cursor ? { ...query, cursor } : query);
      found.push(...data.messages.filter((each) => each.parent_id === message.parent_id));
      cursor = data.next_cursor;
    } while (cursor && found.length < message.sibling_count);
    return found;
  }

  const put = (message) => store.set((state) => ({ messages: putMessages(state, [message]) }));

  return { put, refresh, loadOlder, loadUntil, refreshMessage, drop, edit, remove, switchBranch, activate };
}
