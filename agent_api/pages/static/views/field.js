import { html, useId } from "../html.js";

// A label, a control, help and mistakes, connected so that a screen reader says all of them. `children` returns the
// control: it gets its id and the attributes that lead to the texts.
export function Field({ label, help, notice, mistakes = [], class: more = "", children }) {
  const id = useId();
  const isWrong = mistakes.length > 0;
  const texts = [help && "help", notice && "notice", isWrong && "error"].filter(Boolean);
  const control = {
    id,
    "aria-invalid": isWrong ? "true" : null,
    "aria-describedby": texts.map((name) => `${id}-${name}`).join(" ") || null,
  };
  return html`
    <div class=${`field ${more}`}>
      <label for=${id}>${label}</label>
      ${help && html`<p class="help" id="${id}-help">${help}</p>`}
      ${children(control)}
      ${notice && html`<div id="${id}-notice">${notice}</div>`}
      ${isWrong && html`<ul class="error" id="${id}-error">${mistakes.map((each) => html`<li>${each}</li>`)}</ul>`}
    </div>
  `;
}
