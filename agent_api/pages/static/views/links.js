import { html, useId, useRef, useState } from "../html.js";
import { Confirm } from "./confirm.js";
import { CopyField } from "./copy_field.js";
import { formatTime } from "./format.js";
import { Failure, Loading, useRequest } from "./request.js";

const DAY_MS = 24 * 60 * 60 * 1000;
const PERIODS = [
  { days: 1, label: "1 day" },
  { days: 7, label: "7 days" },
  { days: 30, label: "30 days" },
  { days: 0, label: "No end" },
];

export function Links({ api, conversation }) {
  const conversation_id = conversation.id;
  const request = useRequest(async (signal) => (await api.list_links({ conversation_id, signal })).data.links, [api, conversation_id]);
  const [address, setAddress] = useState(null);
  const [error, setError] = useState(null);
  const heading = useRef(null);

  // create_link has no Idempotency-Key: if its answer is lost, the list shows a link that the user can delete.
  const create = async (body) => {
    setError(null);
    setAddress(null);
    try {
      const { data } = await api.create_link({ conversation_id, body });
      setAddress(addressOf(data));
      request.replace([data, ...(request.data ?? [])]);
    } catch (problem) {
      setError(problem);
      request.reload();
    }
  };

  const remove = async (link) => {
    setError(null);
    try {
      await api.delete_link({ conversation_id, link_id: link.id });
    } catch (problem) {
      // The link has expired or was deleted elsewhere.
      if (problem.status !== 404) return setError(problem);
    }
    setAddress(null);
    heading.current.focus();
    request.replace(request.data.filter((each) => each.id !== link.id));
  };

  return html`
    <section class="stack" aria-label="Public links">
      <h3 ref=${heading} tabindex="-1">Public links</h3>
      <p class="help">Anyone who has a link can read the conversation as it is now, without an account. Later messages are not shown.</p>
      <${NewLink} onCreate=${create} />
      ${address && html`<${CopyField} label="New link" value=${address} help="Copy it now: it is shown only once." />`}
      ${error && html`<${Failure} error=${error} />`}
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${request.loading && !request.data && html`<${Loading} what="the links" />`}
      ${request.data?.length > 0 && html`
        <ul class="row-list">${request.data.map((link) => html`<${LinkRow} key=${link.id} link=${link} onRemove=${() => remove(link)} />`)}</ul>
      `}
    </section>
  `;
}

// The operator can configure the address of a front end. If not, `url` is the path that returns JSON, and this page shows the link.
function addressOf({ url, secret }) {
  if (URL.canParse(url)) return url;
  return new URL(`#shared=${secret}`, location.href).href;
}

function NewLink({ onCreate }) {
  const [days, setDays] = useState(7);
  const [withFiles, setWithFiles] = useState(false);
  const [busy, setBusy] = useState(false);
  const id = useId();

  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const expires_at = days ? new Date(Date.now() + days * DAY_MS).toISOString() : null;
    await onCreate({ expires_at, with_attachments: withFiles });
    setBusy(false);
  };

  return html`
    <form class="row" onSubmit=${submit}>
      <div class="field">
        <label for=${id}>Works for</label>
        <select id=${id} value=${days} onChange=${({ target }) => setDays(Number(target.value))}>
          ${PERIODS.map((period) => html`<option key=${period.days} value=${period.days}>${period.label}</option>`)}
        </select>
      </div>
      <label class="check grow">
        <input type="checkbox" checked=${withFiles} onChange=${({ target }) => setWithFiles(target.checked)} />
        Show attachments
      </label>
      <button class="button tall">${busy ? "Creating …" : "Create link"}</button>
    </form>
  `;
}

function LinkRow({ link, onRemove }) {
  const created = formatTime(link.created_at);
  const end = link.expires_at ? `Works until ${formatTime(link.expires_at)}` : "Has no end";
  return html`
    <li class="row-item">
      <div class="row-main">
        <div>Created ${created}</div>
        <div class="help">${end}${link.with_attachments ? ", with attachments" : ""}</div>
      </div>
      <${Confirm} label="Delete" name="Delete the link of ${created}" question="The link stops working for everyone." yes="Delete" no="Keep" onYes=${onRemove} />
    </li>
  `;
}
