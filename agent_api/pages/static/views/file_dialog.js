import { html } from "../html.js";
import { Dialog } from "./dialog.js";
import { formatSize, formatTime } from "./format.js";
import { Failure, Loading, useRequest } from "./request.js";

/** What is known about a file, and its text if the user may read it. */
export function FileDialog({ api, file, onClose }) {
  return html`
    <${Dialog} title=${file.name} onClose=${onClose}>
      <dl class="facts">
        ${file.type && html`<div><dt>Type</dt><dd><bdi>${file.type}</bdi></dd></div>`}
        ${typeof file.size === "number" && html`<div><dt>Size</dt><dd><bdi>${formatSize(file.size)}</bdi></dd></div>`}
        ${file.inLibrary && html`<div><dt>Library</dt><dd>Added to the library</dd></div>`}
        ${file.addedAt && html`<div><dt>Added</dt><dd><bdi>${formatTime(file.addedAt)}</bdi></dd></div>`}
        <div><dt>Address</dt><dd><bdi dir="ltr">${file.url}</bdi></dd></div>
      </dl>
      ${mayOpen(file.url)
        ? html`<a class="button" href=${file.url} target="_blank" rel="noopener noreferrer">Open the file</a>`
        : html`<p class="help">This page opens only addresses that begin with https:// or http://.</p>`}
      ${api && file.id && html`<${ParsedText} api=${api} id=${file.id} />`}
    <//>
  `;
}

// The server accepts any scheme. A link to `javascript:` would run in this page.
function mayOpen(url) {
  return /^https?:\/\//i.test(url) && URL.canParse(url);
}

// Messages leave out the text of their attachments. Only the owner gets it; for members the answer is a 403.
function ParsedText({ api, id }) {
  const load = async (signal) => (await api.get_chat_attachment({ attachment_id: id, signal })).data.parsed_content;
  const request = useRequest(load, [api, id]);
  if (request.error?.status === 403) return null;
  if (request.error) return html`<${Failure} error=${request.error} onRetry=${request.reload} />`;
  if (request.loading) return html`<${Loading} what="the text" />`;
  if (!request.data) return null;
  return html`
    <section class="stack">
      <h3>Text of the file</h3>
      <pre class="plain" dir="auto" tabindex="0">${request.data}</pre>
    </section>
  `;
}
