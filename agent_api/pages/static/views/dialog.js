import { html, useEffect, useId, useRef } from "../html.js";
import { Icon } from "./icons.js";

// The native element traps the focus, closes with Escape and gives the focus back when it is closed.
export function Dialog({ title, onClose, children, wide = false }) {
  const element = useRef(null);
  const heading = useRef(null);
  const headingId = useId();

  useEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    (dialog.querySelector(".dialog-body [autofocus]") ?? heading.current).focus();
    return () => dialog.close();
  }, []);

  const onClosed = (event) => {
    if (event.target === element.current) onClose();
  };

  return html`
    <dialog ref=${element} class=${wide ? "dialog wide" : "dialog"} aria-labelledby=${headingId} onClose=${onClosed}>
      <div class="dialog-head">
        <h2 id=${headingId} ref=${heading} tabindex="-1" dir="auto">${title}</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick=${() => element.current.close()}>
          <${Icon} name="close" />
        </button>
      </div>
      <div class="dialog-body">${children}</div>
    </dialog>
  `;
}
