import { html, useRef, useState } from "../html.js";
import { Confirm } from "./confirm.js";
import { CopyField } from "./copy_field.js";
import { Field } from "./field.js";
import { formatTime } from "./format.js";
import { Failure, Loading, useRequest } from "./request.js";

const DAY_MS = 24 * 60 * 60 * 1000;
const PERIODS = [
  { days: 1, label: "1 day" },
  { days: 7, label: "7 days" },
  { days: 30, label: "30 days" },
  { days: 0, label: "No end" },
];

/** Public links to snapshots of a conversation. Only its owner may list, create and delete them. */
export function Links({ api, conversation }) {
  const conversation_id = conversation.id;
  const load = async (signal) => (await api.list_links({ conversation_id, signal })).data.links;
  const request = useRequest(load, [api, conversation_id]);
  const [made, setMade] = useState(null);
  const [error, setError] = useState(null);
  const heading = useRef(null);

  // create_link has no Idempotency-Key: if its answer is lost, the list shows a link that the user can delete.
  const create = async (body) => {
    setError(null);
    try {
      const { data } = await api.create_link({ conversation_id, body });
      setMade(data);
    } catch (problem) {
      setError(problem);
    }
    request.reload();
  };

  const remove = async ({ id }) => {
    setError(null);
    try {
      await api.delete_link({ conversation_id, link_id: id });
    } catch (problem) {
      // The link has expired or was deleted elsewhere.
      if (problem.status !== 404) return setError(problem);
    }
    if (made?.id === id) setMade(null);
    heading.current.focus();
    request.reload();
  };

  const row = (link) => html`<${LinkRow} key=${link.id} link=${link} onRemove=${() => remove(link)} />`;
  return html`
    <section class="stack" aria-label="Public links">
      <h3 ref=${heading} tabindex="-1">Public links</h3>
      <p class="help">
        Anyone who has a link can read the conversation as it is now, without an account. Later messages are not shown.
      </p>
      <${NewLink} onCreate=${create} />
      ${made && html`<${CopyField} label="New link" value=${addressOf(made)} help="Copy it now: it is shown only once." />`}
      ${error && html`<${Failure} error=${error} />`}
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${request.loading && !request.data && html`<${Loading} what="the links" />`}
      ${request.data?.length > 0 && html`<ul class="row-list">${request.data.map(row)}</ul>`}
    </section>
  `;
}

// The operator can configure the address of a front end. If not, `url` is the path that returns JSON: then the link
// leads to this page, which keeps the secret in the fragment of the address.
function addressOf({ url, secret }) {
  if (URL.canParse(url)) return url;
  return new URL(`#shared=${secret}`, location.href).href;
}

function LinkRow({ link, onRemove }) {
  const { created_at: at, expires_at: end, with_attachments: withFiles } = link;
  return html`
    <li class="row-item">
      <div class="row-main">
        <div>Created <time datetime=${at}>${formatTime(at)}</time></div>
        <div class="help">
          ${end ? html`Works until <time datetime=${end}>${formatTime(end)}</time>` : "Has no end"}${withFiles && ", with attachments"}
        </div>
      </div>
      <${Confirm} label="Delete" name="Delete the link of ${formatTime(at)}"
        question="The link stops working for everyone." yes="Delete" no="Keep" onYes=${onRemove} />
    </li>
  `;
}

// A form for a link. `onCreate` gets the body of create_link.
function NewLink({ onCreate }) {
  const [days, setDays] = useState(7);
  const [withFiles, setWithFiles] = useState(false);
  const [busy, setBusy] = useState(false);

  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const expires_at = days ? new Date(Date.now() + days * DAY_MS).toISOString() : null;
    await onCreate({ expires_at, with_attachments: withFiles });
    setBusy(false);
  };

  const option = (period) => html`<option key=${period.days} value=${period.days}>${period.label}</option>`;
  return html`
    <form class="row" onSubmit=${submit}>
      <${Field} label="Works for">
        ${(control) => html`
          <select ...${control} value=${days} onChange=${({ target }) => setDays(Number(target.value))}>
            ${PERIODS.map(option)}
          </select>
        `}
      <//>
      <label class="check grow">
        <input type="checkbox" checked=${withFiles} onChange=${({ target }) => setWithFiles(target.checked)} />
        Show attachments
      </label>
      <button class="button tall" aria-busy=${busy}>${busy ? "Creating …" : "Create link"}</button>
    </form>
  `;
}
