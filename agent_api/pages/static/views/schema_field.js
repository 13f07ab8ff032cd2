import { html, useId } from "../html.js";
import { ListField } from "./list_field.js";
import { detailOf, errorsAt } from "./problems.js";

// One field of a form. The server checks the value: its rules are in the contract, and its answer names the field.
export function SchemaField({ field, value, onChange, error, notice }) {
  if (field.type === "array") {
    return html`
      <${ListField} label=${field.label} help=${field.help} values=${value ?? []} onChange=${onChange}
        error=${error} pointer=${field.pointer} notice=${notice} />
    `;
  }
  return html`<${SingleField} field=${field} value=${value} onChange=${onChange} error=${error} notice=${notice} />`;
}

function SingleField({ field, value, onChange, error, notice }) {
  const id = useId();
  const errors = errorsAt(error, field.pointer);
  const described = [field.help && `${id}-help`, notice && `${id}-notice`, errors.length > 0 && `${id}-error`].filter(Boolean);
  const common = {
    id,
    "aria-invalid": errors.length > 0 ? "true" : null,
    "aria-describedby": described.join(" ") || null,
  };
  const control =
    field.type === "boolean"
      ? html`<input ...${common} type="checkbox" checked=${value === true} onChange=${({ target }) => onChange(target.checked)} />`
      : html`<input ...${common} dir="auto" autocomplete="off" value=${value ?? ""} inputmode=${keyboard(field)}
          onInput=${({ target }) => onChange(target.value)} />`;
  return html`
    <div class="field">
      <label for=${id}>${field.label}</label>
      ${field.help && html`<p class="help" id="${id}-help">${field.help}</p>`}
      ${control}
      ${notice && html`<div id="${id}-notice">${notice}</div>`}
      ${errors.length > 0 && html`
        <p class="error" id="${id}-error">${errors.map((each) => `${field.label} ${detailOf(each)}`).join(". ")}.</p>
      `}
    </div>
  `;
}

function keyboard({ type, minimum }) {
  if (type === "integer") return minimum >= 0 ? "numeric" : "text";
  return type === "number" ? "decimal" : "text";
}

// What the form has typed, as the contract's type. A text that is not a number is sent as it is: the server says what is wrong.
export function valueOf(field, typed) {
  if (field.type === "array" || field.type === "boolean") return typed;
  if (typed === null || String(typed).trim() === "") return null;
  if (field.type !== "number" && field.type !== "integer") return typed;
  const number = Number(String(typed).trim().replace(",", "."));
  return Number.isNaN(number) ? typed : number;
}
