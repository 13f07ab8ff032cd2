// A button that opens a menu. The popover is drawn above everything and closes with Escape or a click elsewhere.
import { html, useId, useRef, useState } from "../html.js";
import { Icon } from "./icons.js";

const GAP = 4;
const EDGE = 8;

/** `items` are { label, icon, run, className } or false. */
export function Menu({ label, items, icon = "more", className = "" }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const button = useRef(null);
  const menu = useRef(null);

  // The items exist only while the menu is open, because a list has many menus.
  const onBeforeToggle = ({ newState }) => setOpen(newState === "open");
  const onToggle = ({ newState }) => {
    if (newState !== "open") return;
    place(menu.current, button.current);
    visible(menu.current)[0].focus();
  };
  const onKeyDown = (event) => {
    const buttons = visible(menu.current);
    const now = buttons.indexOf(document.activeElement);
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab") menu.current.hidePopover();
    if (next === undefined) return;
    event.preventDefault();
    buttons.at(next % buttons.length).focus();
  };
  const choose = (run) => {
    menu.current.hidePopover();
    button.current.focus();
    run();
  };
  return html`
    <button type="button" class=${`icon-button ${className}`} ref=${button} popovertarget=${id}
      aria-label=${label} title=${label} aria-haspopup="menu" aria-expanded=${String(open)}>
      <${Icon} name=${icon} />
    </button>
    <div class="menu" id=${id} popover="auto" role="menu" aria-label=${label} ref=${menu}
      onBeforeToggle=${onBeforeToggle} onToggle=${onToggle} onKeyDown=${onKeyDown}>
      ${open && items.filter(Boolean).map((item) => html`
        <button key=${item.label} type="button" role="menuitem" tabindex="-1" class=${item.className}
          onClick=${() => choose(item.run)}><${Icon} name=${item.icon} />${item.label}</button>
      `)}
    </div>
  `;
}

const visible = (menu) => [...menu.querySelectorAll("button")].filter((button) => button.offsetParent !== null);

function place(menu, button) {
  const from = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const isRtl = getComputedStyle(button).direction === "rtl";
  const left = isRtl ? from.left : from.right - size.width;
  const below = from.bottom + GAP;
  const top = below + size.height > innerHeight - EDGE ? from.top - GAP - size.height : below;
  menu.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - size.width - EDGE))}px`;
  menu.style.top = `${Math.max(EDGE, top)}px`;
}
