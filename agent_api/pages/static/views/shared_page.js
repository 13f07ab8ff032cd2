import { connect } from "../client.js";
import { html, useEffect } from "../html.js";
import { Chips } from "./attachments.js";
import { formatTime } from "./format.js";
import { Markdown } from "./markdown.js";
import { explain } from "./problems.js";
import { Loading, useRequest } from "./request.js";

const NAMES = { user: "User", assistant: "Assistant", system: "System" };

// The secret stands in the fragment of the address, so that no server or proxy on the way logs it.
export function SharedPage({ secret }) {
  // Reading a link needs no token, and must not send one: the page is the same for everyone.
  const request = useRequest(async (signal) => (await (await connect()).get_shared_conversation({ secret, signal })).data, [secret]);
  const conversation = request.data;

  useEffect(() => {
    if (conversation) document.title = conversation.title;
  }, [conversation]);

  return html`
    <main class="shared">
      ${request.loading && html`<${Loading} what="the conversation" />`}
      ${request.error && html`<${NotShown} error=${request.error} onRetry=${request.reload} />`}
      ${conversation && html`<${Snapshot} conversation=${conversation} />`}
    </main>
  `;
}

function Snapshot({ conversation }) {
  const { title, shared_at: at, expires_at: end, messages } = conversation;
  return html`
    <header class="shared-head">
      <h1 dir="auto">${title}</h1>
      <p class="muted">
        Shared on <time datetime=${at}>${formatTime(at)}</time>. Later messages are not shown.
        ${end && html` The link works until <time datetime=${end}>${formatTime(end)}</time>.`}
      </p>
    </header>
    ${messages.length === 0 && html`<p class="muted">The conversation has no messages.</p>`}
    ${messages.map((message, index) => html`<${SharedMessage} key=${index} message=${message} />`)}
  `;
}

function SharedMessage({ message }) {
  return html`
    <article class="message ${message.role}">
      <h2 class="message-name">${NAMES[message.role]}</h2>
      <div class="bubble">
        <${Markdown} text=${message.content} />
        <${Chips} message=${{ chat_attachments: message.attachments }} />
      </div>
      <p class="message-status"><time datetime=${message.created_at}>${formatTime(message.created_at)}</time></p>
    </article>
  `;
}

// A wrong secret, an expired link and a deleted one get the same answer. Part of a secret does not match the contract.
function NotShown({ error, onRetry }) {
  const isOver = error.status === 404 || error.status === 422;
  return html`
    <div class="shared-empty" role="alert">
      <h1>${isOver ? "This link does not work" : "The conversation cannot be shown"}</h1>
      <p class="muted">
        ${isOver ? "It is incomplete, has expired or was deleted. Ask the person who sent it for a new one." : explain(error)}
      </p>
      ${!isOver && html`<button type="button" class="button" onClick=${onRetry}>Try again</button>`}
    </div>
  `;
}
