import { html, memo, useLayoutEffect, useRef, useState } from "../html.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { fullTime, shortTime } from "./format.js";

const SPEAKER = { user: "", assistant: "", system: "System: " };

/** One row of the list. It is drawn again only if its conversation has changed. */
export const ConversationRow = memo(({ conversation, isOpen, actions }) => {
  const [renaming, setRenaming] = useState(false);
  const { id, title, pinned, tags, unread_count: unread, last_message: last, shared_by } = conversation;
  if (renaming) {
    const save = (name, to) => {
      setRenaming(false);
      if (name && name !== title) actions.update(id, { title: name });
      if (!to) actions.focusRow(id);
    };
    return html`<div class="row-rename"><${Rename} title=${title} onDone=${save} /></div>`;
  }
  return html`
    <a class=${unread > 0 ? "row-link unread" : "row-link"} href=${`#/${id}`} data-id=${id} aria-current=${isOpen ? "true" : null}>
      <span class="row-top">
        ${pinned && html`<span class="row-pin" title="Pinned"><${Icon} name="pin" /><span class="visually-hidden">Pinned. </span></span>`}
        <span class="row-title" dir="auto">${title}</span>
        <time class="row-time" datetime=${conversation.updated_at} title=${fullTime(conversation.updated_at)}>
          ${shortTime(conversation.updated_at)}
        </time>
      </span>
      <span class="row-bottom">
        <span class="row-preview" dir="auto">${last ? SPEAKER[last.role] + plain(last.content) : "No messages yet"}</span>
        ${unread > 0 && html`<span class="badge" title="Unread messages">${unread > 99 ? "99+" : unread}<span class="visually-hidden"> unread</span></span>`}
      </span>
      ${(tags.length > 0 || shared_by) && html`
        <span class="row-tags">
          ${shared_by && html`<span class="row-tag"><${Icon} name="users" /><span dir="auto">${shared_by}</span></span>`}
          ${tags.slice(0, 3).map((tag) => html`<span class="row-tag" key=${tag} dir="auto">${tag}</span>`)}
          ${tags.length > 3 && html`<span class="row-tag">+${tags.length - 3}</span>`}
        </span>
      `}
    </a>
    <${Menu} label=${`Actions for ${title}`} items=${menuItems(actions, conversation, () => setRenaming(true))} className="row-menu" />
  `;
});

/** What the menu of a conversation offers: everyone organises for themselves, the owner decides for all. */
export function menuItems({ update, archive, remove, fork, show }, { id, role, pinned, archived }, rename) {
  const isOwner = role === "owner";
  return [
    isOwner && { label: "Rename", icon: "edit", run: rename },
    { label: pinned ? "Unpin" : "Pin", icon: "pin", run: () => update(id, { pinned: !pinned }) },
    { label: "Tags", icon: "tag", run: () => show("tags", id) },
    { label: archived ? "Move back" : "Archive", icon: "archive", run: () => archive(id, !archived) },
    { label: isOwner ? "Share" : "Members", icon: "users", run: () => show("share", id) },
    { label: "Make a copy", icon: "fork", run: () => fork(id) },
    isOwner && { label: "Delete", icon: "trash", className: "danger", run: () => remove(id) },
  ];
}

/** A preview of Markdown without its signs. */
export const plain = (text) => text.replace(/[*_`#>|~]+/g, "").replace(/\s+/g, " ").trim();

export function Rename({ title, onDone }) {
  const input = useRef(null);
  useLayoutEffect(() => input.current.select(), []);
  const onKeyDown = (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") input.current.value = title;
    if (["Enter", "Escape"].includes(event.key)) input.current.blur();
  };
  return html`<input class="rename" ref=${input} defaultValue=${title} maxlength="255" dir="auto"
    aria-label="Title" onKeyDown=${onKeyDown} onBlur=${(event) => onDone(event.target.value.trim(), event.relatedTarget)} />`;
}
