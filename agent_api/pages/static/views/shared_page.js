import { connect } from "../client.js";
import { html, memo, useEffect, useMemo, useState } from "../html.js";
import { Chips } from "./attachments.js";
import { formatTime } from "./format.js";
import { Markdown } from "./markdown.js";
import { explain } from "./problems.js";
import { Loading, useRequest } from "./request.js";

const NAMES = { user: "User", assistant: "Assistant", system: "System" };
const MESSAGES_PER_STEP = 30;

/**
 * What a public link shows. The secret stands in the fragment of the address, so that no server or proxy on the way
 * logs it.
 */
export function SharedPage({ secret }) {
  // Reading a link needs no token, and must not send one: the page is the same for everyone.
  const load = async (signal) => (await (await connect()).get_shared_conversation({ secret, signal })).data;
  const request = useRequest(load, [secret]);
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
  const steps = useSteps(messages);
  return html`
    <header class="shared-head">
      <h1 dir="auto">${title}</h1>
      <p class="muted">
        Shared on <time datetime=${at}>${formatTime(at)}</time>. Later messages are not shown.
        ${end && html` The link works until <time datetime=${end}>${formatTime(end)}</time>.`}
      </p>
    </header>
    ${messages.length === 0 && html`<p class="muted">The conversation has no messages.</p>`}
    ${steps.map((step, index) => html`<${Step} key=${index} messages=${step} />`)}
  `;
}

// A long conversation is drawn in steps: the first screen appears at once, and the page stays responsive.
function useSteps(messages) {
  const [shown, setShown] = useState(1);
  const steps = useMemo(() => {
    const starts = Array.from({ length: Math.ceil(messages.length / MESSAGES_PER_STEP) }, (_, step) => step);
    return starts.map((step) => messages.slice(step * MESSAGES_PER_STEP, (step + 1) * MESSAGES_PER_STEP));
  }, [messages]);

  useEffect(() => {
    if (shown >= steps.length) return undefined;
    const timer = setTimeout(() => setShown(shown + 1));
    return () => clearTimeout(timer);
  }, [shown, steps]);

  return steps.slice(0, shown);
}

const Step = memo(({ messages }) => messages.map((message) => html`<${SharedMessage} message=${message} />`));

function SharedMessage({ message }) {
  const { role, content, created_at: at, attachments } = message;
  return html`
    <article class="message ${role}">
      <h2 class="message-name">${NAMES[role] ?? role}</h2>
      <div class="bubble"><${Markdown} text=${content} /></div>
      <${Chips} message=${{ chat_attachments: attachments }} />
      <p class="message-status"><time datetime=${at}>${formatTime(at)}</time></p>
    </article>
  `;
}

// A wrong secret, an expired link and a deleted one get the same answer. Part of a secret breaks a rule of the contract.
function NotShown({ error, onRetry }) {
  const isOver = error.status === 404 || error.status === 422;
  if (!isOver) {
    return html`
      <div class="shared-empty" role="alert">
        <h1>The conversation cannot be shown</h1>
        <p class="muted">${explain(error)}</p>
        <button type="button" class="button" onClick=${onRetry}>Try again</button>
      </div>
    `;
  }
  return html`
    <div class="shared-empty" role="alert">
      <h1>This link does not work</h1>
      <p class="muted">It is incomplete, has expired or was deleted. Ask the person who sent it for a new one.</p>
    </div>
  `;
}
