import { html, useEffect, useRef, useState } from "../html.js";
import { Field } from "./field.js";

const SHOWN_MS = 2000;

/** A text to copy. It gets the focus, because it appears after the user has asked for it. */
export function CopyField({ label, value, help }) {
  const [copied, setCopied] = useState(false);
  const input = useRef(null);

  useEffect(() => input.current.focus(), [value]);

  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  // Browsers give access to the clipboard only over HTTPS and on this machine, and the user can refuse it. For that
  // case, the text is selected.
  const copy = async () => {
    input.current.select();
    const writing = navigator.clipboard?.writeText(value);
    setCopied(await writing?.then(() => true, () => false) ?? false);
  };

  return html`
    <${Field} label=${label} help=${help}>
      ${(control) => html`
        <div class="copy">
          <input ...${control} ref=${input} readonly dir="ltr" value=${value}
            onFocus=${({ target }) => target.select()} />
          <button type="button" class="button primary tall" onClick=${copy}>${copied ? "Copied" : "Copy"}</button>
          <span class="visually-hidden" role="status">${copied ? "Copied" : ""}</span>
        </div>
      `}
    <//>
  `;
}
