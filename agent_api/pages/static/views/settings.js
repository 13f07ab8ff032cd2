import { html, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { formatTime } from "./format.js";
import { explain, isGeneral } from "./problems.js";
import { Failure, Loading, useRequest } from "./request.js";
import { answerSchema, bodySchema, fieldsOf } from "./schema.js";
import { SchemaField, valueOf } from "./schema_field.js";

/** All chat settings. The fields come from the contract's schema of update_chat_settings. */
export function Settings({ api, onClose, onSaved }) {
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
  const fields = useMemo(() => fieldsOf(api.contract, bodySchema(api.contract, "update_chat_settings")), [api]);
  const [saved, setSaved] = useState(read);
  // What the user has typed, by the name of the field. All other fields show what is saved.
  const [typed, setTyped] = useState({});
  const [replaced, setReplaced] = useState([]);
  const [error, setError] = useState(null);
  // Fields that were changed after the error: their mistakes are hidden, because they may be corrected.
  const [corrected, setCorrected] = useState([]);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  useLayoutEffect(() => form.current.querySelector('[aria-invalid="true"]')?.focus(), [error]);
  const isGeneralError = isGeneral(error, fields.map(({ pointer }) => pointer));

  const type = (name, value) => {
    setTyped((before) => ({ ...before, [name]: value }));
    setCorrected((before) => [...before, name]);
  };
  const untype = (name) => setTyped(({ [name]: _, ...others }) => others);

  const save = async (event) => {
    event.preventDefault();
    const changed = fields.filter(({ name }) => name in typed);
    if (busy) return;
    if (changed.length === 0) return onClose();
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
  };

  const row = (field) => {
    const { name } = field;
    const isTyped = name in typed;
    const notice = replaced.includes(field) && html`
      <${NowSaved} value=${saved.data[name]} isTyped=${isTyped} onUse=${() => untype(name)} />
    `;
    return html`
      <${SchemaField} key=${name} field=${field} value=${isTyped ? typed[name] : saved.data[name]} notice=${notice}
        error=${corrected.includes(name) ? null : error} onChange=${(value) => type(name, value)} />
    `;
  };

  const onKeyDown = (event) => {
    if (event.key === "Escape" && Object.keys(typed).length) event.preventDefault();
  };
  return html`
    <form class="form" ref=${form} onSubmit=${save} onKeyDown=${onKeyDown} aria-busy=${busy} noValidate>
      ${fields.map(row)}
      <${ServerFacts} contract=${api.contract} fields=${fields} data=${saved.data} />
      <div class="dialog-foot">
        ${replaced.length > 0 && !error && html`<${Replaced} fields=${replaced} />`}
        ${isGeneralError && html`<p class="notice error" role="alert">${explain(error)}</p>`}
        <div class="actions">
          <button type="button" class="button quiet" onClick=${onClose}>Cancel</button>
          <button class="button primary">${busy ? "Saving …" : "Save"}</button>
        </div>
      </div>
    </form>
  `;
}

// Says that another device was faster, after a 412.
function Replaced({ fields }) {
  return html`
    <div class="notice" role="alert">
      <p>
        These settings were saved elsewhere while you were editing.
        Changed there: ${fields.map(({ label }) => label).join(", ")}. What you have typed is kept: check it and save again.
      </p>
    </div>
  `;
}

// What another device has saved, next to its field.
function NowSaved({ value, isTyped, onUse }) {
  const text = Array.isArray(value) ? value.join(", ") : value;
  return html`
    <p class="now-saved">
      <span>Saved elsewhere: <strong dir="auto">${text === null || text === "" ? "empty" : text}</strong></span>
      ${isTyped && html`<button type="button" class="button" onClick=${onUse}>Use this</button>`}
    </p>
  `;
}

// The properties that the server sets, such as the time of the last change.
function ServerFacts({ contract, fields, data }) {
  const names = new Set(fields.map(({ name }) => name));
  const all = fieldsOf(contract, answerSchema(contract, "get_chat_settings"));
  const fact = ({ name, label }) => html`
    <div key=${name}><dt>${label}</dt><dd><bdi>${display(name, data[name])}</bdi></dd></div>
  `;
  return html`<dl class="facts">${all.filter(({ name }) => !names.has(name)).map(fact)}</dl>`;
}

function display(name, value) {
  if (value === null) return "not saved yet";
  return name.endsWith("_at") ? formatTime(value) : String(value);
}
