import { html, useEffect, useId, useRef, useState } from "../html.js";

const SHOWN_MS = 2000;

export function CopyField({ label, value, help }) {
  const [copied, setCopied] = useState(false);
  const field = useRef(null);
  const id = useId();

  useEffect(() => {
    field.current.focus();
    field.current.select();
  }, [value]);

  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  // Browsers give access to the clipboard only over HTTPS and on this machine. Otherwise the text is selected.
  const copy = async () => {
    field.current.select();
    if (!navigator.clipboard) return;
    await navigator.clipboard.writeText(value);
    setCopied(true);
  };

  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <div class="copy">
        <input id=${id} ref=${field} readonly dir="ltr" value=${value} aria-describedby="${id}-help" onFocus=${({ target }) => target.select()} />
        <button type="button" class="button primary tall" onClick=${copy}>${copied ? "Copied" : "Copy"}</button>
      </div>
      <p class="help" id="${id}-help">${help}</p>
      <span class="visually-hidden" role="status">${copied ? "Copied" : ""}</span>
    </div>
  `;
}
