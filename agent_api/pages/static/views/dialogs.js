// Opens one dialog at a time: show("share", conversationId), show("versions", messageId).
import { html, useEffect, useState } from "../html.js";
import { useStore } from "../store/store.js";
import { Dialog } from "./dialog.js";

// Dialogs are loaded when they are opened for the first time, so that the page itself starts quickly.
const LOAD = {
  search: async () => (await import("./search.js")).Search,
  settings: async () => (await import("./settings.js")).Settings,
  share: async () => (await import("./share.js")).Share,
  tags: async () => (await import("./tags.js")).Tags,
  versions: async () => (await import("./versions.js")).Versions,
};

/** Load all dialogs while there is nothing else to do. One that fails is loaded again when it is opened. */
export const preload = () => Promise.allSettled(Object.values(LOAD).map((load) => load()));

export function Dialogs({ app, dialog, onOpen, onClose }) {
  const View = useView(app, dialog?.name, onClose);
  const conversation = useStore(app.store, (state) => state.conversations[dialog?.id]);
  const message = useStore(app.store, (state) => state.messages[dialog?.id]);
  if (!View) return null;
  const { api } = app;
  if (dialog.name === "search") {
    const open = (result) => {
      onClose();
      onOpen();
      app.showMessage(result);
    };
    return html`<${Dialog} title="Search" onClose=${onClose} wide><${View} api=${api} onOpen=${open} /><//>`;
  }
  if (dialog.name === "settings") {
    return html`<${View} api=${api} onClose=${onClose} onSaved=${() => app.notify("Settings saved.")} />`;
  }
  if (dialog.name === "versions") {
    return message ? html`<${View} api=${api} message=${message} onClose=${onClose} />` : null;
  }
  if (!conversation) return null; // it was deleted meanwhile
  if (dialog.name === "tags") {
    return html`
      <${Dialog} title=${`Tags of “${conversation.title}”`} onClose=${onClose}>
        <${View} api=${api} conversation=${conversation} onChanged=${app.conversations.put} notify=${app.notify} />
      <//>
    `;
  }
  const onLeft = () => app.conversations.refresh(conversation.id);
  return html`<${View} api=${api} conversation=${conversation} me=${app.me} onClose=${onClose} onLeft=${onLeft} />`;
}

/** Return the component of a dialog, or null while it is loaded. */
function useView(app, name, onClose) {
  const [loaded, setLoaded] = useState({});
  useEffect(() => {
    if (!name || loaded[name]) return;
    LOAD[name]().then(
      (view) => setLoaded((known) => ({ ...known, [name]: view })),
      () => {
        app.notify("This part of the page could not be loaded. Are you offline?", { kind: "error" });
        onClose();
      },
    );
  }, [name]);
  return (name && loaded[name]) || null;
}
