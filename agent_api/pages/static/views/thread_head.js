import { html, useState } from "../html.js";
import { Rename, menuItems } from "./conversation_row.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";

const ROLES = { viewer: "You can read", editor: "You can write" };

export function ThreadHead({ app, conversation, isNew, show, onMenu }) {
  const [renaming, setRenaming] = useState(false);
  const menuButton = html`
    <button type="button" class="icon-button only-narrow" aria-label="Conversations" onClick=${onMenu}><${Icon} name="menu" /></button>
  `;
  if (isNew || !conversation) {
    return html`<header class="thread-head">${menuButton}<h1 class="thread-title">${isNew ? "New conversation" : ""}</h1></header>`;
  }
  const { id, title, role, shared_by, archived, tags } = conversation;
  const isOwner = role === "owner";
  const actions = { ...app.conversations, fork: app.fork, show };
  const save = (name, to) => {
    setRenaming(false);
    if (!to) document.getElementById("thread").focus();
    if (name && name !== title) actions.update(id, { title: name });
  };
  return html`
    <header class="thread-head">
      ${menuButton}
      <div class="thread-names">
        ${renaming
          ? html`<${Rename} title=${title} onDone=${save} />`
          : html`<h1 class="thread-title" dir="auto" title=${title}>${title}</h1>`}
        ${(shared_by || tags.length > 0 || archived) && html`
          <div class="thread-facts">
            ${shared_by && html`<span class="row-tag"><${Icon} name="users" /><span>Shared by <bdi>${shared_by}</bdi>. ${ROLES[role]}.</span></span>`}
            ${archived && html`<span class="row-tag"><${Icon} name="archive" />Archived</span>`}
            ${tags.map((tag) => html`
              <button key=${tag} type="button" class="row-tag" title=${`Show only ${tag}`} dir="auto"
                onClick=${() => (app.conversations.setFilter({ tag }), onMenu())}>${tag}</button>
            `)}
          </div>
        `}
      </div>
      <button type="button" class="button quiet share-button" aria-label=${isOwner ? "Share" : "Members"} onClick=${() => show("share", id)}>
        <${Icon} name="users" /><span>${isOwner ? "Share" : "Members"}</span>
      </button>
      <${Menu} label="Actions" items=${menuItems(actions, conversation, () => setRenaming(true))} />
    </header>
  `;
}
