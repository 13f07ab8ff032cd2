// Starts the page: reads the token, connects to the API, and draws what fits the state.
import { connect } from "./client.js";
import { html, render } from "./html.js";
import * as session from "./session.js";
import { createApp } from "./store/app.js";
import { App } from "./views/app.js";
import { preload } from "./views/dialogs.js";
import { Failed, Starting } from "./views/states.js";
import { SignIn } from "./views/sign_in.js";
import { clearToasts, notify } from "./views/toasts.js";

const RTL = new Set(["ar", "fa", "he", "ur", "ps", "sd", "ug", "yi", "dv", "ckb"]);
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
const root = document.getElementById("app");
const draw = (view) => render(view, root);

const PRELOAD_MS = 3000;

let stop = () => {};

document.documentElement.dir = RTL.has(navigator.language.split("-")[0]) ? "rtl" : "ltr";
session.start();
const sharedSecret = () => new URLSearchParams(location.hash.slice(1)).get("shared");
let secret = sharedSecret();
// The page of a link keeps nothing of a user. Opening a link in this tab changes only the fragment.
addEventListener("hashchange", () => {
  if (session.offeredToken()) {
    secret = null;
    signIn(null);
  } else if (sharedSecret() !== secret) location.reload();
});
if (secret) showShared(secret);
else start();

async function showShared(secret) {
  const { SharedPage } = await import("./views/shared_page.js");
  draw(html`<${SharedPage} secret=${secret} />`);
}

async function start() {
  if (session.token() === null || session.offeredToken()) return signIn(null);
  draw(html`<${Starting} />`);
  try {
    // This user's token, also for requests that are still under way when another user has signed in.
    const token = session.token();
    const onUnauthorized = (problem) => token === session.token() && signIn(problem);
    const api = await connect({ token: () => token, onUnauthorized });
    if (session.offeredToken()) return; // by a link that was opened meanwhile
    run(createApp({ api, me: session.userId(), notify }));
  } catch (problem) {
    if (problem.name !== "Problem" && problem.name !== "Offline") throw problem;
    const again = () => location.reload();
    draw(html`<${Failed} title="The page could not start" problem=${problem} onRetry=${again} />`);
  }
}

function run(app) {
  const route = () => {
    // The address names the open conversation, so that a reload, a bookmark and "back" work.
    const id = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
    app.open(id === "new" || UUID.test(id) ? id : null);
  };
  let shown = app.store.get().openId;
  const unsubscribe = app.store.subscribe(({ openId }) => {
    if (openId === shown) return; // a click on a link has changed the address, and route() comes next
    shown = openId;
    const hash = openId === null ? "" : `#/${openId}`;
    if (location.hash !== hash) history.replaceState(null, "", hash || location.pathname + location.search);
  });
  addEventListener("hashchange", route);
  addEventListener("pagehide", app.conversations.finishRemovals);
  route();
  const endSync = app.sync({
    onGone: () => notify("This conversation was deleted, or is not shared with you any more."),
  });
  const cancelExpiry = session.onExpiry(() => signIn({ detail: "Your token has expired." }));
  app.outbox.resume();
  stop = () => {
    stop = () => {};
    endSync();
    cancelExpiry();
    unsubscribe();
    app.runs.unfollowAll();
    app.outbox.stop();
    removeEventListener("hashchange", route);
    removeEventListener("pagehide", app.conversations.finishRemovals);
  };
  const signOut = () => {
    app.outbox.stop({ forget: true });
    app.conversations.finishRemovals();
    app.drafts.clear();
    clearToasts();
    history.replaceState(null, "", location.pathname + location.search);
    session.signOut();
    signIn(null);
  };
  draw(html`<${App} app=${app} onSignOut=${signOut} />`);
  setTimeout(preload, PRELOAD_MS);
}

/** Ask for a token, or whether to use that of a link. `problem` says why the last one was refused. */
function signIn(problem) {
  stop();
  document.title = "Agent API";
  const onToken = (token) => {
    session.signIn(token);
    start();
  };
  const onCancel = () => {
    session.decline();
    start();
  };
  const token = session.offeredToken() ?? "";
  const user = session.userId(token);
  draw(html`<${SignIn} key=${token} ...${{ problem, token, user, onToken, onCancel }} />`);
}
