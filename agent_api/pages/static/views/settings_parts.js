import { html } from "../html.js";
import { formatTime } from "./format.js";
import { answerSchema, fieldsOf } from "./schema.js";

/** Says that another device was faster, after a 412. */
export function Replaced({ fields }) {
  return html`
    <div class="notice" role="alert">
      <p>
        These settings were saved elsewhere while you were editing.
        Changed there: ${fields.map(({ label }) => label).join(", ")}. What you have typed is kept: check it and save again.
      </p>
    </div>
  `;
}

/** What another device has saved, next to its field. */
export function NowSaved({ value, isTyped, onUse }) {
  const text = Array.isArray(value) ? value.join(", ") : value;
  return html`
    <p class="now-saved">
      <span>Saved elsewhere: <strong dir="auto">${text === null || text === "" ? "empty" : text}</strong></span>
      ${isTyped && html`<button type="button" class="button" onClick=${onUse}>Use this</button>`}
    </p>
  `;
}

/** The properties that the server sets, such as the time of the last change. */
export function ServerFacts({ contract, fields, data }) {
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
