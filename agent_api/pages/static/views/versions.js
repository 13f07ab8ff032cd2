import { html, memo, useState } from "../html.js";
import { added } from "./changed_words.js";
import { Dialog } from "./dialog.js";
import { formatTime } from "./format.js";
import { Failure, Loading, useRequest } from "./request.js";

/** What a message has said, oldest version first. */
export function Versions({ api, message, onClose }) {
  const message_id = message.id;
  const [cursor, setCursor] = useState(undefined);
  const [earlier, setEarlier] = useState([]);
  const load = async (signal) => (await api.list_message_versions({ message_id, cursor, signal })).data;
  const request = useRequest(load, [api, message_id, message.version, cursor]);
  const page = request.loading ? null : request.data;
  const versions = [...earlier, ...(page?.versions ?? [])];

  // The list ends when `next_cursor` is null.
  const more = () => {
    setEarlier(versions);
    setCursor(page.next_cursor);
  };
  const item = (version, index) => html`
    <${Version} key=${version.version} version=${version} before=${versions[index - 1]}
      isCurrent=${version.version === message.version} />
  `;

  return html`
    <${Dialog} title="Versions of this message" onClose=${onClose} wide>
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${versions.length > 0 && html`
        <ol class="versions" tabindex="0" aria-label="Versions, oldest first">${versions.map(item)}</ol>
      `}
      ${request.loading && html`<${Loading} what="the versions" />`}
      ${page?.next_cursor && html`<button type="button" class="button" onClick=${more}>Show more</button>`}
    <//>
  `;
}

const Version = memo(({ version, before, isCurrent }) => {
  const { content } = version;
  return html`
    <li>
      <h3>Version ${version.version} ${isCurrent && html`<span class="tag">current</span>`}</h3>
      <p class="help">
        <time datetime=${version.created_at}>${formatTime(version.created_at)}</time>
        ${version.author && html`, by <bdi>${version.author}</bdi>`}
        ${before?.content === content && html`. The same text, with other parts or metadata.`}
      </p>
      <p class="prose" dir="auto">${before ? added(before.content, content).map(piece) : content}</p>
    </li>
  `;
});

function piece([text, isNew]) {
  return isNew ? html`<ins>${text}</ins>` : text;
}
