// Messages on their way: shown at once, sent in order, repeated with the same Idempotency-Key.
import { isTemporary } from "../errors.js";
import { newKey } from "./conversations.js";
import { activeRuns, idsOf, putMessages, rethrowMistake } from "./state.js";

const ATTEMPTS = 6;

export function outboxActions({ api, me, store, drafts, conversations, threads, runs }) {
  // For this user of this API: what they wrote must never be sent as another one, or elsewhere.
  const saved = `agent-api outbox ${api.base} ${me}`;
  let stopped = false; // signed out
  let isSending = false;

  function save(change) {
    store.set(({ outbox }) => ({ outbox: change(outbox) }));
    if (stopped) return;
    // A reload does not lose a message: what is left is sent again, with the same keys.
    sessionStorage.setItem(saved, JSON.stringify(store.get().outbox));
  }
  const patch = (key, changes) =>
    save((outbox) => outbox.map((each) => (each.key === key ? { ...each, ...changes } : each)));
  const find = (key) => store.get().outbox.find((each) => each.key === key);

  /** Post a message and start the agent. Without an agent only the message is posted. */
  function send({ conversation_id, content, agent_id, sibling_of = null }) {
    const key = newKey();
    const keys = { conversation: newKey(), message: newKey(), run: newKey() };
    const after = idsOf(store.get().threads[conversation_id]).at(-1) ?? null;
    const entry = { key, keys, conversation_id, content, agent_id, sibling_of, after, status: "sending", problem: null };
    save((outbox) => [...outbox, entry]);
    deliver();
    return key;
  }

  /** Start the agent again for a question that has been asked. */
  function answerAgain({ conversation_id, agent_id, message_id, sibling_of = null }) {
    const isSame = (each) => each.content === null && each.message_id === message_id && each.status !== "failed";
    if (store.get().outbox.some(isSame)) return; // pressed twice
    const keys = { run: newKey() };
    const entry = { key: newKey(), keys, conversation_id, agent_id, message_id, sibling_of, content: null };
    save((outbox) => [...outbox, { ...entry, status: "sending", problem: null }]);
    deliver();
  }

  /** Send one after the other, in the order in which they were written. */
  async function deliver() {
    if (isSending) return;
    isSending = true;
    try {
      for (let next; !stopped && (next = store.get().outbox.find((each) => each.status !== "failed")); ) {
        await attempt(next.key);
      }
    } finally {
      isSending = false;
    }
  }

  async function attempt(key) {
    // Attempts without a network do not count.
    for (let count = 1; ; count += Number(navigator.onLine)) {
      try {
        await steps(key);
        return;
      } catch (problem) {
        rethrowMistake(problem);
        if (stopped) return;
        // Whether it was carried out is unknown: repeat it, with the same key and body.
        const again = isTemporary(problem) || isInProgress(problem);
        if (!again || (count >= ATTEMPTS && navigator.onLine)) {
          patch(key, { status: "failed", problem: problem.message });
          return;
        }
        patch(key, { status: "waiting" });
        await pause((problem.retryAfter ?? Math.min(2 ** count, 10)) * 1000);
        if (stopped) return;
        if (!find(key)) return; // discarded meanwhile
        patch(key, { status: "sending" });
      }
    }
  }

  async function steps(key) {
    if (find(key).conversation_id === null) await createConversation(key);
    if (!find(key).message_id) await postMessage(key);
    const { conversation_id, agent_id, keys, message_id, sibling_of, content } = find(key);
    if (agent_id) {
      // The worker reads which message to answer, and which answer to replace by another one.
      const input = content === null && sibling_of ? { message_id, sibling_of } : { message_id };
      await runs.start({ conversation_id, agent_id, input, key: keys.run });
    }
    discard(key);
  }

  async function createConversation(key) {
    const { keys, agent_id } = find(key);
    const { data } = await api.create_conversation({
      body: { agent_id, source: "agent-api-page" },
      "Idempotency-Key": keys.conversation,
    });
    conversations.put(data);
    // What was written below it meanwhile belongs to the same conversation.
    save((outbox) => outbox.map((each) => ({ ...each, conversation_id: each.conversation_id ?? data.id })));
    if (![null, "new"].includes(store.get().openId)) return;
    drafts.set(data.id, drafts.get("new") ?? "");
    drafts.delete("new");
    store.set({ openId: data.id });
  }

  async function postMessage(key) {
    let { body, conversation_id, content, sibling_of, keys } = find(key);
    if (!body) {
      body = { role: "user", content };
      if (sibling_of) body.sibling_of = sibling_of;
      else {
        // Continue the branch that the user sees, unless an answer is about to be added to it.
        const last = idsOf(store.get().threads[conversation_id]).at(-1);
        if (last && !activeRuns(store.get(), conversation_id).length) body.parent_id = last;
      }
      patch(key, { body }); // a key belongs to one body
    }
    const { data } = await api.create_message({ conversation_id, body, "Idempotency-Key": keys.message });
    store.set((state) => ({ messages: putMessages(state, [data]) }));
    await threads.refresh(conversation_id);
    patch(key, { message_id: data.id });
  }

  function retry(key) {
    patch(key, { status: "sending", problem: null });
    deliver();
  }

  function discard(key) {
    save((outbox) => outbox.filter((each) => each.key !== key));
  }

  /** Send what was left when the page was closed or offline. */
  function resume() {
    if (!store.get().outbox.length) {
      store.set({ outbox: JSON.parse(sessionStorage.getItem(saved) ?? "[]") });
    }
    save((outbox) => outbox.map((each) => ({ ...each, status: "sending", problem: null })));
    deliver();
  }

  /** Send nothing more. An expired token keeps what was not sent, signing out forgets it. */
  function stop({ forget = false } = {}) {
    stopped = true;
    if (forget) sessionStorage.removeItem(saved);
  }

  return { stop, send, answerAgain, retry, discard, resume };
}

/** True if the message is in the thread already: its response was lost, or the stream was faster. */
export function isStored({ threads, messages }, { conversation_id, content, after }) {
  const ids = idsOf(threads[conversation_id]);
  const later = ids.slice(after === null ? 0 : ids.indexOf(after) + 1);
  return later.some((id) => messages[id].role === "user" && messages[id].content === content);
}

const isInProgress = (problem) => problem.type === "/problems/request-in-progress";

/** Wait, but not longer than until the network is back. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener("online", done);
  });
}
