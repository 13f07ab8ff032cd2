// Opens one dialog at a time: show("share", conversationId), show("versions", messageId).
import { html } from "../html.js";
import { useStore } from "../store/store.js";
import { Dialog } from "./dialog.js";
import { Search } from "./search.js";
import { Settings } from "./settings.js";
import { Share } from "./share.js";
import { Tags } from "./tags.js";
import { Versions } from "./versions.js";

export function Dialogs({ app, dialog, onClose }) {
  const { api, store } = app;
  const conversation = useStore(store, (state) => state.conversations[dialog?.id]);
  const message = useStore(store, (state) => state.messages[dialog?.id]);
  if (dialog?.name === "search") {
    const open = (result) => {
      onClose();
      app.showMessage(result);
    };
    return html`<${Dialog} title="Search" onClose=${onClose} wide><${Search} api=${api} onOpen=${open} /><//>`;
  }
  if (dialog?.name === "settings") {
    return html`<${Settings} api=${api} onClose=${onClose} onSaved=${() => app.notify("Settings saved.")} />`;
  }
  if (dialog?.name === "versions" && message) {
    return html`<${Versions} api=${api} message=${message} onClose=${onClose} />`;
  }
  if (!conversation) return null; // none is open, or its conversation was deleted meanwhile
  if (dialog.name === "tags") {
    return html`
      <${Dialog} title=${`Tags of “${conversation.title}”`} onClose=${onClose}>
        <${Tags} api=${api} conversation=${conversation} onChanged=${app.conversations.put} />
      <//>
    `;
  }
  const onChanged = ({ left }) => left && app.conversations.refresh(conversation.id);
  return html`<${Share} api=${api} conversation=${conversation} me=${app.me} onClose=${onClose} onChanged=${onChanged} />`;
}
