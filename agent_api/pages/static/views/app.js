import { html, useEffect, useState } from "../html.js";
import { useStore } from "../store/store.js";
import { Dialogs } from "./dialogs.js";
import { Icon } from "./icons.js";
import { Sidebar } from "./sidebar.js";
import { Thread } from "./thread.js";
import { Toasts } from "./toasts.js";

/** The whole page of a user who is signed in. */
export function App({ app, onSignOut }) {
  const { store } = app;
  const openId = useStore(store, (state) => state.openId);
  const connection = useStore(store, (state) => state.connection);
  const announcement = useStore(store, (state) => state.announcement);
  const [dialog, setDialog] = useState(null);
  const [drawer, setDrawer] = useState(openId === null);
  const isNarrow = useMedia("(max-width: 719px)");
  const isOnline = useOnline();
  const show = (name, id, more) => setDialog({ name, id, ...more });

  useEffect(() => setDrawer(openId === null), [openId]);
  useEffect(() => {
    if (!isNarrow) return;
    // What is covered is inert, so the focus must not stay in it.
    const inDrawer = document.querySelector(".sidebar [aria-current], .sidebar button");
    (drawer ? inDrawer : document.getElementById("thread")).focus({ preventScroll: true });
  }, [drawer, isNarrow]);
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.key === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        if (!document.querySelector("dialog")) show("search"); // another one may hold what the user has typed
      } else if (event.key === "Escape" && openId) setDrawer(false);
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [openId]);

  return html`
    <div class=${`layout ${drawer ? "drawer-open" : ""}`}>
      <a class="skip" href="#thread" onClick=${(event) => (event.preventDefault(), document.getElementById("thread").focus())}>
        Skip to the messages
      </a>
      <${Sidebar} app=${app} show=${show} onSignOut=${onSignOut} hidden=${isNarrow && !drawer} onOpen=${() => setDrawer(false)} />
      <div class="scrim" onClick=${() => openId && setDrawer(false)} />
      <main class="main" id="thread" tabindex="-1" inert=${isNarrow && drawer}>
        ${!isOnline && html`
          <p class="banner" role="status"><${Icon} name="offline" />You are offline. Messages are sent when you are back.</p>
        `}
        ${isOnline && connection === "waiting" && html`<${Reconnecting} />`}
        <${Thread} key=${openId} app=${app} id=${openId} show=${show} onMenu=${() => setDrawer(true)} />
      </main>
      <div class="visually-hidden" role="status" aria-live="polite">${announcement}</div>
      <${Dialogs} app=${app} dialog=${dialog} onOpen=${() => setDrawer(false)}
        onClose=${() => setDialog((now) => (now === dialog ? null : now))} />
      <${Toasts} />
    </div>
  `;
}

/** Interruptions of a moment, such as a restart of the server, are not worth a message. */
function Reconnecting() {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 3000);
    return () => clearTimeout(timer);
  }, []);
  if (!late) return null;
  return html`<p class="banner" role="status"><${Icon} name="refresh" />The server cannot be reached. Connecting again …</p>`;
}

function useMedia(query) {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const onChange = () => setMatches(media.matches);
    media.addEventListener("change", onChange);
    return () => media.removeEventListener("change", onChange);
  }, [query]);
  return matches;
}

function useOnline() {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const onChange = () => setOnline(navigator.onLine);
    addEventListener("online", onChange);
    addEventListener("offline", onChange);
    return () => {
      removeEventListener("online", onChange);
      removeEventListener("offline", onChange);
    };
  }, []);
  return online;
}
