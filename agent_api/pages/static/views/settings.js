import { html, useMemo, useRef, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { formatTime } from "./format.js";
import { explain, isGeneral } from "./problems.js";
import { Failure, Loading, useRequest } from "./request.js";
import { answerSchema, bodySchema, fieldsOf } from "./schema.js";
import { SchemaField, valueOf } from "./schema_field.js";

export function Settings({ api, onClose, onSaved = () => {} }) {
  const request = useRequest((signal) => api.get_chat_settings({ signal }), [api]);
  return html`
    <${Dialog} title="Chat settings" onClose=${onClose}>
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${request.loading && html`<${Loading} what="the settings" />`}
      ${request.data && html`<${Form} api=${api} read=${request.data} onClose=${onClose} onSaved=${onSaved} />`}
    <//>
  `;
}

function Form({ api, read, onClose, onSaved }) {
  const [saved, setSaved] = useState(read);
  // What the user has typed, by the name of the field. All other fields show what is saved.
  const [typed, setTyped] = useState({});
  const [replaced, setReplaced] = useState(null);
  const [error, setError] = useState(null);
  // Fields that were changed after the error. Their mistakes may be corrected, so they are not shown any more.
  const [corrected, setCorrected] = useState([]);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  const fields = useMemo(() => fieldsOf(api.contract, bodySchema(api.contract, "update_chat_settings")), [api]);
  const changed = fields.filter(({ name }) => name in typed);

  const save = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    setCorrected([]);
    try {
      // Absent properties stay as they are, so only changed fields are sent. If-Match refuses to overwrite what
      // another device has saved since.
      const body = Object.fromEntries(changed.map((field) => [field.name, valueOf(field, typed[field.name])]));
      const answer = await api.update_chat_settings({ "If-Match": saved.etag, body });
      onSaved(answer.data);
      onClose();
    } catch (problem) {
      if (problem.status === 412) await merge();
      else fail(problem);
    }
  };

  // Read what is saved now, keep what the user has typed, and let them decide about fields that both have changed.
  const merge = async () => {
    try {
      const latest = await api.get_chat_settings();
      const differs = ({ name }) => JSON.stringify(saved.data[name]) !== JSON.stringify(latest.data[name]);
      setReplaced(fields.filter(differs));
      setSaved(latest);
      setBusy(false);
    } catch (problem) {
      fail(problem);
    }
  };

  const fail = (problem) => {
    setError(problem);
    setBusy(false);
    requestAnimationFrame(() => form.current?.querySelector('[aria-invalid="true"]')?.focus());
  };

  const type = (name, value) => {
    setTyped((before) => ({ ...before, [name]: value }));
    setCorrected((before) => [...before, name]);
  };
  const untype = (name) => setTyped(({ [name]: _, ...others }) => others);

  return html`
    <form class="form" ref=${form} aria-busy=${busy} onSubmit=${save} noValidate>
      ${fields.map((field) => html`
        <${SchemaField} key=${field.name} field=${field} error=${corrected.includes(field.name) ? null : error}
          value=${field.name in typed ? typed[field.name] : saved.data[field.name]}
          onChange=${(value) => type(field.name, value)}
          notice=${replaced?.includes(field) && html`
            <${NowSaved} value=${saved.data[field.name]} kept=${field.name in typed} onUse=${() => untype(field.name)} />
          `} />
      `)}
      <${Facts} api=${api} fields=${fields} data=${saved.data} />
      <footer class="dialog-foot">
        ${replaced && !error && html`<${Replaced} fields=${replaced} />`}
        ${isGeneral(error, fields.map((field) => field.pointer)) && html`<p class="notice error" role="alert">${explain(error)}</p>`}
        <div class="actions">
          <button type="button" class="button quiet" onClick=${onClose}>Cancel</button>
          <button class="button primary" disabled=${changed.length === 0}>${busy ? "Saving …" : "Save"}</button>
        </div>
      </footer>
    </form>
  `;
}

function Replaced({ fields }) {
  const names = fields.map((field) => field.label).join(", ");
  return html`
    <div class="notice" role="alert">
      <p>
        These settings were saved elsewhere while you were editing.
        ${names && ` Changed there: ${names}.`} What you have typed is kept: check it and save again.
      </p>
    </div>
  `;
}

function NowSaved({ value, kept, onUse }) {
  const text = Array.isArray(value) ? value.join(", ") : value;
  return html`
    <p class="now-saved">
      <span>Saved elsewhere: <strong dir="auto">${text === null || text === "" ? "empty" : text}</strong></span>
      ${kept && html`<button type="button" class="button" onClick=${onUse}>Use this</button>`}
    </p>
  `;
}

// The properties that the server sets, such as the time of the last change.
function Facts({ api, fields, data }) {
  const names = new Set(fields.map((field) => field.name));
  const facts = fieldsOf(api.contract, answerSchema(api.contract, "get_chat_settings")).filter(({ name }) => !names.has(name));
  return html`
    <dl class="facts">
      ${facts.map(({ name, label }) => html`
        <div key=${name}><dt>${label}</dt><dd><bdi>${display(name, data[name])}</bdi></dd></div>
      `)}
    </dl>
  `;
}

function display(name, value) {
  if (value === null) return "not saved yet";
  return name.endsWith("_at") ? formatTime(value) : String(value);
}
