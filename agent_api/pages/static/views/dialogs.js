// Opens one dialog at a time: show("share", conversationId).
import { html } from "../html.js";
import { useStore } from "../store/store.js";

export function Dialogs({ app, dialog, onClose }) {
  return null;
}
