import { html } from "../html.js";
import { Field } from "./field.js";
import { ListField } from "./list_field.js";
import { mistakesAt } from "./problems.js";

// One field of a form. The server checks the value: its rules are in the contract, and its answer names the field.
export function SchemaField({ field, value, onChange, error, notice }) {
  const { label, help, pointer, type } = field;
  if (type === "array") {
    const list = { label, help, pointer, error, notice, onChange };
    return html`<${ListField} ...${list} values=${value ?? []} />`;
  }
  const Control = type === "boolean" ? Checkbox : TextInput;
  return html`
    <${Field} label=${label} help=${help} notice=${notice} mistakes=${mistakesAt(error, pointer, label)}>
      ${(control) => html`<${Control} control=${control} field=${field} value=${value} onChange=${onChange} />`}
    <//>
  `;
}

function Checkbox({ control, value, onChange }) {
  const onClick = ({ target }) => onChange(target.checked);
  return html`<input ...${control} type="checkbox" checked=${value === true} onChange=${onClick} />`;
}

function TextInput({ control, field, value, onChange }) {
  return html`
    <input ...${control} dir="auto" autocomplete="off" inputmode=${keyboardOf(field)} value=${value ?? ""}
      onInput=${({ target }) => onChange(target.value)} />
  `;
}

function keyboardOf({ type, minimum }) {
  if (type === "integer") return minimum >= 0 ? "numeric" : "text";
  return type === "number" ? "decimal" : "text";
}

/**
 * Return what was typed as the contract's type; nothing is null. A text that is not a number stays a text: the server
 * says what is wrong with it.
 */
export function valueOf({ type }, typed) {
  if (type === "array" || type === "boolean") return typed;
  if (typed === null || String(typed).trim() === "") return null;
  if (type !== "number" && type !== "integer") return typed;
  const number = Number(String(typed).trim().replace(",", "."));
  return Number.isNaN(number) ? typed : number;
}
