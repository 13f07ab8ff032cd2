// The shape of the state, and the functions that put objects of the API into it.
export const DEFAULT_AGENT = "echo"; // `agent-api worker --echo` answers its runs
export const FINAL = new Set(["succeeded", "failed", "timeout", "cancelled"]);
export const PAGE_SIZE = 20; // messages in one chunk of the thread

export const initialState = {
  filter: { archived: "false", tag: null, shared: null },
  list: { ids: [], cursor: null, total: null, status: "loading", problem: null },
  conversations: {}, // by id
  threads: {}, // by conversation: { pages: [[id]], cursor, status, problem, asked: the number of the request }
  messages: {}, // by id
  runs: {}, // by id
  live: {}, // by run: { text, note }, while it is followed
  outbox: [], // messages that the server has not confirmed
  deleting: {}, // conversations that disappear unless the user chooses Undo
  drops: 0, // how many conversations have disappeared
  target: null, // a message to scroll to
  openId: null, // a conversation's id, "new", or null
  connection: "waiting", // of the change stream: "open" or "waiting"
};

/** The order of list_conversations: pinned ones first, then the newest. */
function compareConversations(a, b) {
  if (a.pinned !== b.pinned) return a.pinned ? -1 : 1;
  // Times have six digits and a Z, so they compare as text. A Date would lose the microseconds.
  if (a.updated_at !== b.updated_at) return a.updated_at < b.updated_at ? 1 : -1;
  return a.id < b.id ? 1 : -1;
}

export function matches(conversation, { archived, tag, shared }) {
  if (archived !== "all" && String(conversation.archived) !== archived) return false;
  if (tag !== null && !conversation.tags.includes(tag)) return false;
  return shared === null || String(conversation.role !== "owner") === shared;
}

/** Store a conversation, and move it to its place in the list. */
export function putConversation(state, conversation) {
  const conversations = { ...state.conversations, [conversation.id]: conversation };
  const others = state.list.ids.filter((id) => id !== conversation.id);
  const wasListed = others.length < state.list.ids.length;
  let place = -1;
  if (matches(conversation, state.filter)) {
    place = others.findIndex((id) => compareConversations(conversation, conversations[id]) < 0);
    // After the last loaded one: the next page has it, unless this is the last page.
    if (place === -1 && (state.list.cursor === null || wasListed)) place = others.length;
  }
  if (place !== -1 && state.list.ids[place] === conversation.id) return { conversations };
  const ids = place === -1 ? others : others.toSpliced(place, 0, conversation.id);
  const change = Number(place !== -1) - Number(wasListed);
  const total = state.list.total === null ? null : state.list.total + change;
  return { conversations, list: { ...state.list, ids, total } };
}

export function dropConversation(state, id) {
  const { [id]: dropped, ...conversations } = state.conversations;
  const { [id]: thread, ...threads } = state.threads;
  const ids = state.list.ids.filter((each) => each !== id);
  const listed = state.list.ids.length - ids.length;
  const total = state.list.total === null ? null : state.list.total - listed;
  const openId = state.openId === id ? null : state.openId;
  return { conversations, threads, openId, drops: state.drops + 1, list: { ...state.list, ids, total } };
}

export function putMessages(state, messages) {
  const changed = messages.filter((m) => JSON.stringify(state.messages[m.id]) !== JSON.stringify(m));
  if (!changed.length) return state.messages;
  return { ...state.messages, ...Object.fromEntries(changed.map((m) => [m.id, m])) };
}

/** Divide ids into pages, and keep the arrays of pages that stay as they are. */
export function repaginate(pages, ids) {
  const result = [];
  let start = 0;
  for (const [number, page] of pages.entries()) {
    const differs = page.findIndex((id, index) => id !== ids[start + index]);
    const kept = differs === -1 ? page.length : differs;
    // Only the last page may grow. What is drawn of the others stays.
    const grows = number === pages.length - 1 || differs !== -1;
    const end = grows ? Math.min(ids.length, start + Math.max(PAGE_SIZE, kept)) : start + kept;
    if (kept > 0) result.push(differs === -1 && end === start + kept ? page : ids.slice(start, end));
    if (kept > 0) start = end;
    if (differs !== -1) break;
  }
  for (; start < ids.length; start += PAGE_SIZE) result.push(ids.slice(start, start + PAGE_SIZE));
  return result;
}

export const idsOf = (thread) => (thread ? thread.pages.flat() : []);

export function threadPatch(state, conversationId, patch) {
  const thread = state.threads[conversationId] ?? { pages: [], cursor: null, status: "loading", problem: null };
  return { threads: { ...state.threads, [conversationId]: { ...thread, ...patch } } };
}

/** Runs of a conversation that have not ended, oldest first. */
export function activeRuns(state, conversationId) {
  return Object.values(state.runs)
    .filter((run) => run.conversation_id === conversationId && !FINAL.has(run.status))
    .sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
}

/** Errors of the API are handled where they happen. Everything else is a mistake in this page. */
export function rethrowMistake(error) {
  if (error.name !== "Problem" && error.name !== "Offline") throw error;
}
