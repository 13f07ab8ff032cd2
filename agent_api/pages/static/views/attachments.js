import { html, useState } from "../html.js";
import { FileDialog } from "./file_dialog.js";
import { formatSize } from "./format.js";
import { Icon } from "./icons.js";

/** The files of a message. A click shows what is known about one. */
export function Chips({ api, message }) {
  const [shown, setShown] = useState(null);
  const files = filesOf(message);
  if (files.length === 0) return null;
  const chip = (file, index) => html`
    <li key=${file.id ?? index}><${Chip} file=${file} onShow=${() => setShown(file)} /></li>
  `;
  return html`
    <ul class="chips" aria-label="Attachments">${files.map(chip)}</ul>
    ${shown && html`<${FileDialog} api=${api} file=${shown} onClose=${() => setShown(null)} />`}
  `;
}

// A message has files in two lists: those it was posted with, and records that have an id of their own.
function filesOf(message) {
  const free = (message.attachments ?? []).map((file) => ({
    name: file.name,
    type: file.type,
    size: file.size,
    url: file.url,
  }));
  const records = (message.chat_attachments ?? []).map((file) => ({
    id: file.id,
    name: file.filename,
    type: file.mime_type,
    size: file.size_bytes,
    url: file.file_url,
    inLibrary: file.added_to_library,
    addedAt: file.created_at,
  }));
  return [...free, ...records];
}

function Chip({ file, onShow }) {
  return html`
    <button type="button" class="chip" title=${file.name} onClick=${onShow}>
      <${Icon} name="file" />
      <span class="chip-name" dir="auto">${file.name}</span>
      ${typeof file.size === "number" && html`<bdi class="chip-note">${formatSize(file.size)}</bdi>`}
    </button>
  `;
}
