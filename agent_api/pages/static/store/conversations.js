// The list of conversations, and what the user does with one of them.
import { dropConversation, matches, putConversation, rethrowMistake } from "./state.js";

const LIST_LIMIT = 100;
const UNDO_SECONDS = 6;

export function conversationActions({ api, store, notify }) {
  let generation = 0; // a page that arrives after the filter has changed is dropped

  const setList = (patch) => store.set(({ list }) => ({ list: { ...list, ...patch } }));
  const put = (conversation) => store.set((state) => putConversation(state, conversation));
  // An answer can be late: its conversation may have been deleted elsewhere meanwhile, and must not appear again.
  const putKnown = (conversation) => store.get().conversations[conversation.id] && put(conversation);

  async function load({ more = false } = {}) {
    const { filter, list, drops } = store.get();
    if (more && (list.cursor === null || list.status === "loading")) return;
    const mine = more ? generation : ++generation;
    setList({ status: "loading", problem: null });
    // A cursor belongs to the parameters it came from: repeat them unchanged.
    const query = { limit: LIST_LIMIT, archived: filter.archived };
    if (filter.tag !== null) query.tag = filter.tag;
    if (filter.shared !== null) query.shared = filter.shared === "true";
    if (more) query.cursor = list.cursor;
    try {
      const { data } = await api.list_conversations(query);
      if (mine !== generation) return;
      if (drops !== store.get().drops) {
        setList({ status: "ready" });
        return await load({ more }); // perhaps one of them was deleted meanwhile
      }
      store.set((state) => {
        const found = Object.fromEntries(data.conversations.map((each) => [each.id, each]));
        const before = more ? state.list.ids : [];
        const ids = [...new Set([...before, ...Object.keys(found)])];
        const { next_cursor: cursor, total } = data;
        const conversations = { ...state.conversations, ...found };
        return { conversations, list: { ids, cursor, total, status: "ready", problem: null } };
      });
    } catch (problem) {
      if (mine === generation) setList({ status: "failed", problem });
      rethrowMistake(problem);
    }
  }

  async function setFilter(patch) {
    store.set(({ filter }) => ({ filter: { ...filter, ...patch } }));
    store.set(({ list }) => ({ list: { ...list, ids: [], cursor: null, total: null } }));
    await load();
  }

  /** Read a conversation again, for example because the change stream names it. */
  async function refresh(id) {
    const { drops } = store.get();
    try {
      // Its messages are paged by list_messages, so this reads only the conversation.
      const { data } = await api.get_conversation({ conversation_id: id, include_messages: false });
      if (drops !== store.get().drops) return refresh(id); // perhaps this one was deleted meanwhile
      put(data);
    } catch (problem) {
      // 404: deleted. 403: the owner has removed this user.
      if (problem.status !== 404 && problem.status !== 403) throw problem;
      store.set((state) => dropConversation(state, id));
    }
  }

  /** Show a change at once, send it, and take it back if the server refuses it. */
  async function update(id, body) {
    const before = store.get().conversations[id];
    if (before) put({ ...before, ...body });
    try {
      putKnown((await api.update_conversation({ conversation_id: id, body })).data);
    } catch (problem) {
      if (before) putKnown(before);
      notify(`Not saved. ${problem.message}`, { kind: "error" });
    }
  }

  function archive(id, archived) {
    const saved = update(id, { archived });
    const { conversations, filter, openId } = store.get();
    if (openId === id && !matches(conversations[id], filter)) store.set({ openId: null });
    notify(archived ? "Archived." : "Moved back to the list.", {
      action: { label: "Undo", run: () => saved.then(() => update(id, { archived: !archived })) },
    });
  }

  /** Hide the conversation, and delete it when the time for Undo is over. */
  function remove(id) {
    const { title } = store.get().conversations[id];
    const timer = setTimeout(finish, UNDO_SECONDS * 1000);
    const hide = (hidden) =>
      store.set(({ deleting, openId }) => ({
        deleting: { ...deleting, [id]: hidden ? finish : undefined },
        openId: hidden && openId === id ? null : openId,
      }));
    async function finish(options = {}) {
      clearTimeout(timer);
      try {
        await api.delete_conversation({ conversation_id: id, ...options });
        store.set((state) => dropConversation(state, id));
      } catch (problem) {
        if (problem.status !== 404) {
          notify(`“${title}” was not deleted. ${problem.message}`, { kind: "error" });
        }
      }
      hide(false);
    }
    hide(true);
    notify(`“${title}” deleted.`, {
      seconds: UNDO_SECONDS,
      action: { label: "Undo", run: () => (clearTimeout(timer), hide(false)) },
    });
  }

  /** Send the deletions that still wait for Undo, because the page is being closed. */
  function finishRemovals() {
    for (const finish of Object.values(store.get().deleting)) finish?.({ keepalive: true });
  }

  async function fork(id, upTo) {
    const body = upTo ? { up_to: upTo } : {};
    try {
      const { data } = await api.fork_conversation({
        conversation_id: id,
        body,
        "Idempotency-Key": newKey(),
      });
      put(data);
      return data;
    } catch (problem) {
      notify(`Not copied. ${problem.message}`, { kind: "error" });
      return null;
    }
  }

  /** Mark everything up to a message as read. A repeated or older one changes nothing. */
  async function markRead(id, messageId) {
    try {
      const body = { message_id: messageId };
      putKnown((await api.mark_conversation_read({ conversation_id: id, body })).data);
    } catch (problem) {
      // The next visit marks it. A conversation that is gone has nothing to mark.
      rethrowMistake(problem);
    }
  }

  return { load, setFilter, refresh, update, archive, remove, finishRemovals, fork, markRead, put };
}

/** A key for Idempotency-Key. crypto.randomUUID exists only on https and localhost. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
