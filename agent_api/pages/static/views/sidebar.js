import { html } from "../html.js";
import { useStore } from "../store/store.js";
import { ConversationList } from "./conversation_list.js";
import { Icon } from "./icons.js";

const ICON = new URL("../icon.svg", import.meta.url).href;
const FILTERS = [
  { label: "All", filter: { archived: "false", shared: null } },
  { label: "Shared", filter: { archived: "false", shared: "true" } },
  { label: "Archived", filter: { archived: "true", shared: null } },
];

export function Sidebar({ app, show, onSignOut, hidden, onOpen }) {
  const { store } = app;
  const filter = useStore(store, (state) => state.filter);
  const isChosen = (each) => each.filter.archived === filter.archived && each.filter.shared === filter.shared;
  const onClick = (event) => event.target.closest("a") && onOpen();
  return html`
    <nav class="sidebar" aria-label="Conversations" inert=${hidden} onClick=${onClick}>
      <header class="sidebar-head">
        <span class="brand"><img src=${ICON} alt="" width="28" height="28" />Agent API</span>
        <button type="button" class="icon-button" aria-label="Search" title="Search (Ctrl K)" onClick=${() => show("search")}>
          <${Icon} name="search" />
        </button>
        <a class="icon-button primary" href="#/new" aria-label="New conversation" title="New conversation"><${Icon} name="plus" /></a>
      </header>
      <div class="filters" role="group" aria-label="Which conversations">
        ${FILTERS.map((each) => html`
          <button key=${each.label} type="button" class="filter" aria-pressed=${String(isChosen(each))}
            onClick=${() => app.conversations.setFilter(each.filter)}>${each.label}</button>
        `)}
        ${filter.tag !== null && html`
          <button type="button" class="filter" aria-pressed="true" aria-label=${`Remove the filter: ${filter.tag}`}
            onClick=${() => app.conversations.setFilter({ tag: null })}>
            <span dir="auto">${filter.tag}</span><${Icon} name="close" />
          </button>
        `}
      </div>
      <${ConversationList} app=${app} show=${show} />
      <footer class="sidebar-foot">
        <span class="avatar" aria-hidden="true">${[...(app.me ?? "?")][0].toUpperCase()}</span>
        <span class="me" dir="auto" title=${app.me}>${app.me}</span>
        <button type="button" class="icon-button" aria-label="Settings" title="Settings" onClick=${() => show("settings")}>
          <${Icon} name="gear" />
        </button>
        <button type="button" class="icon-button" aria-label="Sign out" title="Sign out" onClick=${onSignOut}>
          <${Icon} name="signOut" />
        </button>
      </footer>
    </nav>
  `;
}
