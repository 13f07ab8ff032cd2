import { html, useId, useRef, useState } from "../html.js";
import { detailOf, errorsAt } from "./problems.js";

// A list of short texts: Enter or a comma adds one, Backspace in the empty field removes the last one.
export function ListField({ label, help, values, onChange, error, pointer, notice, autofocus = false }) {
  const [text, setText] = useState("");
  const [said, setSaid] = useState("");
  const field = useRef(null);
  const id = useId();
  const errors = errorsAt(error, pointer);
  const described = [help && `${id}-help`, notice && `${id}-notice`, errors.length > 0 && `${id}-error`].filter(Boolean);

  const add = (input) => {
    const added = input.split(",").map((each) => each.trim()).filter((each) => each && !values.includes(each));
    setText("");
    if (added.length === 0) return;
    onChange([...values, ...new Set(added)]);
    setSaid(`Added ${added.join(", ")}`);
  };
  const remove = (index) => {
    onChange(values.filter((_, other) => other !== index));
    setSaid(`Removed ${values[index]}`);
    field.current.focus();
  };
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
    <div class="field">
      <label for=${id}>${label}</label>
      ${help && html`<p class="help" id="${id}-help">${help}</p>`}
      <div class="list-input">
        ${values.length > 0 && html`
          <ul class="chips" aria-label=${label}>
            ${values.map((value, index) => html`
              <li key=${value} class=${errorsAt(error, `${pointer}/${index}`).length ? "chip bad" : "chip"}>
                <span class="chip-name" dir="auto">${value}</span>
                <button type="button" class="chip-remove" aria-label="Remove ${value}" onClick=${() => remove(index)}>
                  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 7l10 10M17 7L7 17" /></svg>
                </button>
              </li>
            `)}
          </ul>
        `}
        <input id=${id} ref=${field} value=${text} dir="auto" autocomplete="off" autofocus=${autofocus}
          placeholder=${values.length > 0 ? "Add another" : "Type, then press Enter"} enterkeyhint="enter"
          aria-invalid=${errors.length > 0 ? "true" : null} aria-describedby=${described.join(" ") || null}
          onInput=${({ target }) => (target.value.includes(",") ? add(target.value) : setText(target.value))}
          onKeyDown=${onKeyDown} onBlur=${() => add(text)} />
      </div>
      ${notice && html`<div id="${id}-notice">${notice}</div>`}
      ${errors.length > 0 && html`
        <ul class="error" id="${id}-error">
          ${errors.map((each) => html`<li><bdi>${subject(each.pointer, pointer, values)}</bdi> ${detailOf(each)}</li>`)}
        </ul>
      `}
      <span class="visually-hidden" role="status">${said}</span>
    </div>
  `;
}

// The pointer of a mistake ends in the index of the value, or leads to the list as a whole.
function subject(place, pointer, values) {
  const index = Number(place.slice(pointer.length + 1).split("/")[0]);
  return place === pointer ? "The list" : `“${values[index]}”`;
}
