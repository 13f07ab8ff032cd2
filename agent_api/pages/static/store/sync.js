// Keeps the state in step with other devices and users, through the log of changes.
import { isTemporary } from "../errors.js";
import { follow } from "../streams.js";
import { dropConversation, rethrowMistake } from "./state.js";

const GATHER_MS = 60; // changes that arrive together are read together

export function startSync({ api, store, conversations, threads, runs, onGone }) {
  let position = null; // the last change that was taken
  const controller = new AbortController();
  let waiting = new Map(); // what to read again: "kind id" -> function
  let timer = null;

  function later(key, read) {
    if (controller.signal.aborted) return;
    waiting.set(key, read);
    timer ??= setTimeout(readAgain, GATHER_MS);
  }

  async function readAgain() {
    timer = null;
    const reads = [...waiting];
    waiting = new Map();
    await Promise.all(
      reads.map(async ([key, read]) => {
        try {
          await read();
        } catch (problem) {
          rethrowMistake(problem);
          if (isTemporary(problem)) setTimeout(later, (problem.retryAfter ?? 2) * 1000, key, read);
        }
      }),
    );
  }

  async function refreshThread(id) {
    const problem = await threads.refresh(id);
    if (problem) throw problem;
  }

  function onEvent({ id, data: change }) {
    position = Number(id);
    const { type, conversation_id: conversationId, id: objectId } = change;
    const { openId, messages } = store.get();
    const [kind] = type.split(".");
    if (type === "conversation.deleted") {
      store.set((state) => dropConversation(state, conversationId));
      if (openId === conversationId) onGone();
      return;
    }
    // A new message changes its conversation too: preview, counts, place in the list.
    if (["conversation", "message", "share"].includes(kind)) {
      later(`conversation ${conversationId}`, () => conversations.refresh(conversationId));
    }
    if (type === "message.updated" && messages[objectId]) {
      later(`message ${objectId}`, () => threads.refreshMessage(objectId));
    } else if (type === "message.deleted") {
      threads.drop(objectId);
    }
    const isOpen = conversationId !== null && conversationId === openId;
    if (["message.created", "message.deleted", "conversation.branch_activated"].includes(type)) {
      if (isOpen) later(`thread ${conversationId}`, () => refreshThread(conversationId));
    } else if (kind === "run" && isOpen) {
      later(`run ${objectId}`, () => runs.refresh(objectId, conversationId));
    }
  }

  const onState = (state) => {
    // A hidden tab closes its connection on purpose: that is not an interruption.
    if (state !== "closed" && !document.hidden) store.set({ connection: state });
  };

  async function start() {
    const { signal } = controller;
    while (!signal.aborted) {
      try {
        if (position === null) await loadAll();
        const args = { after: position };
        await follow(api, "stream_changes", args, { onEvent, onState, signal });
        return;
      } catch (problem) {
        if (problem.status === 410) position = null; // older than the log: start again
        else if (isTemporary(problem)) {
          store.set({ connection: "waiting" });
          await new Promise((resolve) => setTimeout(resolve, (problem.retryAfter ?? 2) * 1000));
        } else if (problem.status === 401) return; // the page asks for another token
        else throw problem;
      }
    }
  }

  /** Take a position first, and read the lists then: no change between the two is missed. */
  async function loadAll() {
    const { data } = await api.list_changes({});
    const { openId } = store.get();
    const reads = [conversations.load()];
    if (openId && openId !== "new") {
      reads.push(conversations.refresh(openId).then(() => runs.watch(openId)), threads.refresh(openId));
    }
    await Promise.all(reads);
    position = data.last_sequence;
  }

  start();
  return () => controller.abort();
}
