import { html, useRef, useState } from "../html.js";

const focus = (button) => button?.focus();

// A button that asks before it acts. The focus goes to the answer that changes nothing, and back to the button.
export function Confirm({ label, name, question, yes, no, onYes }) {
  const [asking, setAsking] = useState(false);
  const answered = useRef(false);

  if (!asking) {
    return html`
      <button type="button" class="button quiet danger" aria-label=${name} ref=${answered.current ? focus : null}
        onClick=${() => setAsking(true)}>${label}</button>
    `;
  }
  const keep = () => {
    answered.current = true;
    setAsking(false);
  };
  return html`
    <div class="row-ask" role="group" aria-label=${question}>
      <p>${question}</p>
      <div class="actions">
        <button type="button" class="button" ref=${focus} onClick=${keep}>${no}</button>
        <button type="button" class="button danger" onClick=${onYes}>${yes}</button>
      </div>
    </div>
  `;
}
