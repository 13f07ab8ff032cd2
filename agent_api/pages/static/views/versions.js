import { html, useState } from "../html.js";
import { added } from "./changed_words.js";
import { Dialog } from "./dialog.js";
import { formatTime } from "./format.js";
import { Failure, Loading, useRequest } from "./request.js";

export function Versions({ api, message, onClose }) {
  const [cursor, setCursor] = useState(undefined);
  const [earlier, setEarlier] = useState([]);
  const request = useRequest(
    async (signal) => (await api.list_message_versions({ message_id: message.id, cursor, signal })).data,
    [api, message.id, message.version, cursor],
  );
  const page = request.data;
  const versions = page && !request.loading ? [...earlier, ...page.versions] : earlier;

  // The list ends when `next_cursor` is null.
  const more = () => {
    setEarlier(versions);
    setCursor(page.next_cursor);
  };

  return html`
    <${Dialog} title="Versions of this message" onClose=${onClose} wide>
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${versions.length > 0 && html`
        <ol class="versions">
          ${versions.map((version, index) => html`
            <${Version} key=${version.version} version=${version} before=${versions[index - 1]} isCurrent=${version.version === message.version} />
          `)}
        </ol>
      `}
      ${request.loading && html`<${Loading} what="the versions" />`}
      ${page?.next_cursor && !request.loading && html`<button type="button" class="button" onClick=${more}>Show more</button>`}
    <//>
  `;
}

function Version({ version, before, isCurrent }) {
  return html`
    <li>
      <h3>Version ${version.version} ${isCurrent && html`<span class="tag">current</span>`}</h3>
      <p class="help">
        <time datetime=${version.created_at}>${formatTime(version.created_at)}</time>
        ${version.author && html`, by <bdi>${version.author}</bdi>`}
      </p>
      ${before?.content === version.content && html`<p class="help">The same text, with other parts or metadata.</p>`}
      <p class="prose" dir="auto">
        ${before ? added(before.content, version.content).map(([text, isNew]) => (isNew ? html`<ins>${text}</ins>` : text)) : version.content}
      </p>
    </li>
  `;
}
