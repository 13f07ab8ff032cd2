import { html, useState } from "../html.js";
import { Field } from "./field.js";

const DAY_MS = 24 * 60 * 60 * 1000;
const PERIODS = [
  { days: 1, label: "1 day" },
  { days: 7, label: "7 days" },
  { days: 30, label: "30 days" },
  { days: 0, label: "No end" },
];

/** A form for a link. `onCreate` gets the body of create_link. */
export function NewLink({ onCreate }) {
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
