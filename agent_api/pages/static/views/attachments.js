import { html, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { formatSize, formatTime } from "./format.js";
import { Failure, Loading, useRequest } from "./request.js";

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

// The server accepts any scheme. `javascript:` in a link would run in this page.
function safeUrl(url) {
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? url : null;
}

export function Chips({ api, message }) {
  const [shown, setShown] = useState(null);
  const files = filesOf(message);
  if (files.length === 0) return null;
  return html`
    <ul class="chips" aria-label="Attachments">
      ${files.map((file, index) => html`<li key=${file.id ?? index}><${Chip} file=${file} onShow=${() => setShown(file)} /></li>`)}
    </ul>
    ${shown && html`<${FileDialog} api=${api} file=${shown} onClose=${() => setShown(null)} />`}
  `;
}

function Chip({ file, onShow }) {
  const size = file.size == null ? null : html`<bdi class="chip-note">${formatSize(file.size)}</bdi>`;
  return html`
    <button type="button" class="chip" title=${file.name} onClick=${onShow}>
      <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 3h7l5 5v13H7zM14 3v5h5" /></svg>
      <span class="chip-name" dir="auto">${file.name}</span>${size}
    </button>
  `;
}

function FileDialog({ api, file, onClose }) {
  const url = safeUrl(file.url);
  return html`
    <${Dialog} title=${file.name} onClose=${onClose}>
      <dl class="facts">
        ${file.type && html`<div><dt>Type</dt><dd>${file.type}</dd></div>`}
        ${file.size != null && html`<div><dt>Size</dt><dd><bdi>${formatSize(file.size)}</bdi></dd></div>`}
        ${file.inLibrary && html`<div><dt>Library</dt><dd>Added to the library</dd></div>`}
        ${file.addedAt && html`<div><dt>Added</dt><dd>${formatTime(file.addedAt)}</dd></div>`}
        <div><dt>Address</dt><dd><bdi dir="ltr">${file.url}</bdi></dd></div>
      </dl>
      ${url
        ? html`<a class="button" href=${url} target="_blank" rel="noopener noreferrer">Open the file</a>`
        : html`<p class="help">This page opens only addresses that begin with https:// or http://.</p>`}
      ${api && file.id && html`<${ParsedText} api=${api} id=${file.id} />`}
    <//>
  `;
}

// Messages leave out the text of their attachments. Only the owner gets it; for members the answer is a 403.
function ParsedText({ api, id }) {
  const request = useRequest((signal) => api.get_chat_attachment({ attachment_id: id, signal }), [api, id]);
  if (request.error?.status === 403) return null;
  if (request.error) return html`<${Failure} error=${request.error} onRetry=${request.reload} />`;
  if (!request.data) return html`<${Loading} what="the text" />`;
  const text = request.data.data.parsed_content;
  if (!text) return null;
  return html`
    <section class="stack">
      <h3>Text of the file</h3>
      <pre class="plain" dir="auto" tabindex="0">${text}</pre>
    </section>
  `;
}
