// Follows a stream of the API for as long as it takes: connects again, and continues where it was.
//
// EventSource cannot send a token, so this uses fetch. docs/live.md explains the rules.

import { isTemporary, networkError } from "./errors.js";
import { EventParser } from "./sse.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
// The server sends a comment every 15 seconds. After twice as long, the connection is lost.
const SILENCE_MS = 35_000;

/**
 * Follow the operation `name` of `api`, with the parameters `values`, such as `{after: 42}`.
 *
 * `onEvent` gets `{id, event, data}`, each event once and in order; `onState` gets "open", "waiting"
 * or "closed". Ends when a run has ended, and when `signal` aborts. Throws the Problem if the server
 * refuses the stream: the token has expired (401), or the changes after its position were deleted (410).
 */
export async function follow(api, name, values, { onEvent, onState = () => {}, signal } = {}) {
  const stream = { position: {}, failures: 0, retry: FIRST_WAIT_MS };
  try {
    while (!signal?.aborted) {
      await visible(signal);
      const error = await connectOnce(api, name, values, stream, { onEvent, onState, signal });
      if (stream.ended || signal?.aborted) return;
      onState("waiting");
      await pause(waitMs(stream, error), signal);
    }
  } finally {
    onState("closed");
  }
}

/** Read until the connection ends. Returns the error after which to connect again, or null. */
async function connectOnce(api, name, values, stream, { onEvent, onState, signal }) {
  const connection = new AbortController();
  const abort = () => connection.abort();
  // A browser opens at most six HTTP/1.1 connections to a host: hidden tabs give theirs back.
  const hide = () => document.hidden && abort();
  let timer = setTimeout(abort, SILENCE_MS);
  signal?.addEventListener("abort", abort);
  document.addEventListener("visibilitychange", hide);
  addEventListener("offline", abort);
  try {
    const call = { ...values, ...stream.position, signal: connection.signal };
    const { data, status } = await api[name](call);
    stream.ended = status === 204; // the run has ended, and we have every event
    if (stream.ended) return null;
    onState("open");
    stream.failures = 0;
    const parser = new EventParser();
    for await (const text of textsOf(data)) {
      clearTimeout(timer);
      timer = setTimeout(abort, SILENCE_MS);
      for (const event of parser.push(text)) {
        remember(stream, parser);
        onEvent({ ...event, data: JSON.parse(event.data) });
        if (event.event === "run.ended") stream.ended = true;
      }
      remember(stream, parser);
      if (stream.ended) return null;
    }
    return null;
  } catch (error) {
    if (!mayTryAgain(error)) throw error;
    stream.failures += 1;
    return error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    document.removeEventListener("visibilitychange", hide);
    removeEventListener("offline", abort);
    abort();
  }
}

async function* textsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw networkError(error);
    });
    if (done) return;
    yield value;
  }
}

function remember(stream, parser) {
  if (parser.lastId !== null) stream.position = { after: undefined, "Last-Event-ID": parser.lastId };
  if (parser.retry !== null) stream.retry = parser.retry;
}

function mayTryAgain(error) {
  return isTemporary(error) || error.name === "AbortError";
}

// Longer and longer, and different for each client: they must not all come back at the same moment.
function waitMs({ failures, retry }, error) {
  const longest = Math.min(retry * 2 ** Math.max(failures - 1, 0), LONGEST_WAIT_MS);
  const jittered = longest * (0.5 + Math.random() / 2);
  return Math.max(jittered, (error?.retryAfter ?? 0) * 1000);
}

/** Wait, but not longer than until the network is back or the user looks at the tab again. */
function pause(milliseconds, signal) {
  return until((done) => {
    const timer = setTimeout(done, milliseconds);
    return () => clearTimeout(timer);
  }, [signal, "abort"], [window, "online"], [document, "visibilitychange"]);
}

async function visible(signal) {
  while (document.hidden && !signal?.aborted) {
    await until(() => () => {}, [signal, "abort"], [document, "visibilitychange"]);
  }
}

function until(begin, ...events) {
  return new Promise((resolve) => {
    const done = () => {
      end();
      for (const [target, event] of events) target?.removeEventListener(event, done);
      resolve();
    };
    const end = begin(done);
    for (const [target, event] of events) target?.addEventListener(event, done);
  });
}
