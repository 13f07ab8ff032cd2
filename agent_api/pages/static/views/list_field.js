import { html, useRef, useState } from "../html.js";
import { Field } from "./field.js";
import { Icon } from "./icons.js";
import { detailOf, errorsAt } from "./problems.js";

// A list of short texts: Enter or a comma adds one, Backspace in the empty field removes the last one.
export function ListField({ label, help, notice, values, onChange, error, pointer, autofocus = false }) {
  const [text, setText] = useState("");
  const [said, setSaid] = useState("");
  const field = useRef(null);
  const mistakes = errorsAt(error, pointer).map((each) => mistake(each, pointer, values));

  const add = (input) => {
    const words = input.split(",").map((each) => each.trim());
    const added = [...new Set(words)].filter((each) => each && !values.includes(each));
    setText("");
    if (added.length === 0) return;
    onChange([...values, ...added]);
    setSaid(`Added ${added.join(", ")}`);
  };
  const remove = (index) => {
    onChange(values.filter((_, other) => other !== index));
    setSaid(`Removed ${values[index]}`);
    field.current.focus();
  };
  const onInput = ({ target }) => (target.value.includes(",") ? add(target.value) : setText(target.value));
  const onKeyDown = (event) => {
    // While an input method composes a word, Enter accepts the word.
    if (event.isComposing) return;
    if (event.key === "Enter" && text.trim()) {
      event.preventDefault();
      add(text);
    } else if (event.key === "Backspace" && text === "" && values.length > 0) {
      remove(values.length - 1);
    }
  };

  return html`
    <${Field} label=${label} help=${help} notice=${notice} mistakes=${mistakes}>
      ${(control) => html`
        <div class="list-input">
          <${Values} label=${label} values=${values} error=${error} pointer=${pointer} onRemove=${remove} />
          <input ...${control} ref=${field} dir="auto" autocomplete="off" enterkeyhint="enter" autofocus=${autofocus}
            placeholder=${values.length > 0 ? "Add another" : "Type, then press Enter"}
            value=${text} onInput=${onInput} onKeyDown=${onKeyDown} onBlur=${() => add(text)} />
          <span class="visually-hidden" role="status">${said}</span>
        </div>
      `}
    <//>
  `;
}

function Values({ label, values, error, pointer, onRemove }) {
  if (values.length === 0) return null;
  const isWrong = (index) => errorsAt(error, `${pointer}/${index}`).length > 0;
  const chip = (value, index) => html`
    <li key=${value} class=${isWrong(index) ? "chip bad" : "chip"}>
      <span class="chip-name" dir="auto">${value}</span>
      <button type="button" class="chip-remove" aria-label="Remove ${value}" onClick=${() => onRemove(index)}>
        <${Icon} name="close" />
      </button>
    </li>
  `;
  return html`<ul class="chips" aria-label=${label}>${values.map(chip)}</ul>`;
}

// The pointer of a mistake leads to the list, or ends in the index of a value.
function mistake(error, pointer, values) {
  const [index] = error.pointer.slice(pointer.length + 1).split("/");
  const name = index === "" ? "The list" : `“${values[index]}”`;
  return html`<bdi>${name}</bdi> ${detailOf(error)}`;
}
