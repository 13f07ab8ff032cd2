// Keeps the user's token: for this tab, until it is closed, and never in the address.
//
// `agent-api serve` prints a link that ends in #token=... A browser does not send that part to the
// server, and this module removes it from the address and from the tab's history at once. On a host that
// is not loopback the page asks first: the sender of the link would read what the user then writes.

const KEY = `agent-api token ${new URL("..", import.meta.url).pathname}`;
const TOKEN = /^[\x20-\x7e]+$/; // what a header can carry; the server checks the rest
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const IS_LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

let current = null;
let offered = null;

/** Take the token from the address, or the one that the tab had before it was reloaded. */
export function start() {
  current = sessionStorage.getItem(KEY);
  takeFromAddress();
  // Another link opened in this tab changes only the fragment, and the page is not loaded again.
  addEventListener("hashchange", () => {
    if (takeFromAddress()) location.reload();
  });
}

function takeFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  const isToken = TOKEN.test(token.trim());
  if (!isToken) return false;
  if (IS_LOOPBACK) signIn(token);
  else offered = token;
  return IS_LOOPBACK;
}

/** Return the token of a link that the user must confirm, or null. */
export function offeredToken() {
  return offered;
}

/** Forget the token of the link. */
export function decline() {
  offered = null;
}

/** Return the token, or null. An expired one is returned, too: the server decides. */
export function token() {
  return current;
}

/** Use this token from now on. */
export function signIn(value) {
  offered = null;
  current = value.trim().replace(/^Bearer\s+/i, "");
  sessionStorage.setItem(KEY, current);
}

/** Forget the token. */
export function signOut() {
  current = null;
  sessionStorage.removeItem(KEY);
}

/** Return the id of the user: the token's `sub`. */
export function userId(token = current) {
  const sub = claims(token)?.sub;
  return typeof sub === "string" && sub !== "" ? sub : null;
}

/** Return when the token expires, or null if that cannot be read from it. */
export function expiresAt() {
  const seconds = claims(current)?.exp;
  return typeof seconds === "number" ? new Date(seconds * 1000) : null;
}

/** Call `expired` when the token expires. Returns a function that cancels this. */
export function onExpiry(expired) {
  let timer;
  const wait = () => {
    const at = expiresAt();
    if (at === null) return;
    const left = at - Date.now();
    if (left <= 0) expired();
    else timer = setTimeout(wait, Math.min(left, LONGEST_TIMER_MS));
  };
  wait();
  return () => clearTimeout(timer);
}

/** Return the token's claims, unchecked, or null. The server checks the signature; we only read. */
function claims(token) {
  const payload = token?.split(".")[1];
  if (!payload) return null;
  try {
    const bytes = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const text = new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
    return JSON.parse(text);
  } catch {
    return null; // not a token, or one that only the server can read
  }
}
