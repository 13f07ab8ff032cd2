// Runs of agents: start them, follow their events, stop them.
import { follow } from "../streams.js";
import { FINAL, activeRuns, rethrowMistake } from "./state.js";

const DRAW_MS = 50; // words that arrive within this time are drawn together

export function runActions({ api, store, notify, threads, announce }) {
  const followed = new Map(); // run id -> { controller, end }

  const put = (run) => store.set(({ runs }) => ({ runs: { ...runs, [run.id]: { ...runs[run.id], ...run } } }));
  const setLive = (id, patch) =>
    store.set(({ live }) => ({ live: { ...live, [id]: { text: "", note: "", ...live[id], ...patch } } }));

  /** Find the runs of a conversation that are going on, and follow them. Only its owner may list runs. */
  async function watch(conversationId) {
    activeRuns(store.get(), conversationId).forEach(followRun);
    if (store.get().conversations[conversationId]?.role !== "owner") return;
    const { data } = await api.list_runs({ conversation_id: conversationId, order: "desc", limit: 20 });
    for (const run of data.runs) {
      put(run);
      if (!FINAL.has(run.status)) followRun(run);
    }
  }

  /** Start an agent. The key makes it start once, however often the request is repeated. */
  async function start({ conversation_id, agent_id, input, key }) {
    // "queue": if another run of the conversation is active, this one waits for it.
    const { data } = await api.create_run({
      body: { conversation_id, agent_id, input, if_busy: "queue" },
      "Idempotency-Key": key,
    });
    put(data);
    if (!FINAL.has(data.status)) followRun(data);
    return data;
  }

  async function followRun({ id, conversation_id }) {
    if (followed.has(id) || store.get().openId !== conversation_id) return;
    const controller = new AbortController();
    const { signal } = controller;
    const following = { controller, end: null };
    followed.set(id, following);
    let text = "";
    let timer = null;
    const draw = () => {
      timer = null;
      setLive(id, { text });
    };
    const onEvent = ({ event, data }) => {
      if (event === "text.delta" || event === "TEXT_MESSAGE_CONTENT") {
        text += data.text ?? data.delta ?? "";
        timer ??= setTimeout(draw, DRAW_MS);
      } else if (event === "run.requeued") {
        text = ""; // its worker is gone; another one starts again
        setLive(id, { text, note: "" });
        put({ ...data, id, conversation_id });
      } else if (event === "run.ended") {
        following.end = { ...data, id, conversation_id };
      } else if (event.startsWith("run.")) {
        put({ ...data, id, conversation_id });
      } else {
        setLive(id, { note: describe(event, data) });
      }
    };
    setLive(id, {});
    try {
      // after: 0 reads all events: a client that connects late sees the whole answer, too.
      await follow(api, "stream_run_events", { run_id: id, after: 0 }, { onEvent, signal });
      // The answer is a message now. The run ends on the page when that is there, so that the answer never disappears.
      if (!signal.aborted) await threads.refresh(conversation_id);
    } catch (problem) {
      rethrowMistake(problem);
      if (problem.status !== 401) notify(`The answer cannot be followed. ${problem.message}`, { kind: "error" });
    } finally {
      clearTimeout(timer);
      if (followed.get(id) === following) followed.delete(id);
      if (following.end) put(following.end);
    }
    if (signal.aborted) return;
    const run = store.get().runs[id];
    store.set(({ live: { [id]: gone, ...live } }) => ({ live }));
    if (run) announce(run);
  }

  async function cancel(id) {
    try {
      const { data } = await api.cancel_run({ run_id: id });
      put(data);
    } catch (problem) {
      notify(`Not stopped. ${problem.message}`, { kind: "error" });
    }
  }

  /** Read a run again, because the change stream names it. Members can only follow its events. */
  async function refresh(id, conversationId) {
    if (store.get().conversations[conversationId]?.role === "owner") {
      const { data } = await api.get_run({ run_id: id });
      const following = followed.get(id);
      if (following && FINAL.has(data.status)) following.end = data;
      else put(data);
      if (FINAL.has(data.status)) return;
    } else if (!store.get().runs[id]) {
      put({ id, conversation_id: conversationId, status: "pending", created_at: new Date().toISOString() });
    } else if (FINAL.has(store.get().runs[id].status)) return;
    followRun({ id, conversation_id: conversationId });
  }

  function unfollowAll() {
    for (const { controller } of followed.values()) controller.abort();
    followed.clear();
  }

  return { watch, start, cancel, refresh, unfollowAll };
}

/** Events other than text have any name and any data: show what people can read. */
function describe(event, data) {
  const subject = data.tool_name ?? data.name ?? data.message ?? data.title ?? "";
  const name = event.replaceAll(/[._]/g, " ").toLowerCase();
  return typeof subject === "string" && subject ? `${name}: ${subject}` : name;
}
