import { html } from "../html.js";
import { Confirm } from "./confirm.js";
import { Icon } from "./icons.js";

const ROLES = { viewer: "Viewer", editor: "Editor" };

// Only the owner changes roles and removes members. A member can only leave.
export function Member({ share, me, isOwner, onRole, onRemove }) {
  const isMe = share.user_id === me;
  return html`
    <li class="row-item">
      <span class="row-main"><bdi>${share.user_id}</bdi> ${isMe && html`<span class="muted">(you)</span>`}</span>
      ${isOwner
        ? html`<${Controls} share=${share} onRole=${onRole} onRemove=${onRemove} />`
        : html`<span class="muted">${ROLES[share.role]}</span>`}
      ${isMe && html`
        <${Confirm} label="Leave" question="You lose access, and only the owner can add you again."
          yes="Leave" no="Stay" onYes=${onRemove} />
      `}
    </li>
  `;
}

function Controls({ share, onRole, onRemove }) {
  const option = ([role, label]) => html`<option key=${role} value=${role}>${label}</option>`;
  const onChange = ({ target }) => onRole(target.value);
  return html`
    <span class="field">
      <select aria-label="Role of ${share.user_id}" value=${share.role} onChange=${onChange}>
        ${Object.entries(ROLES).map(option)}
      </select>
    </span>
    <button type="button" class="icon-button" aria-label="Remove ${share.user_id}" onClick=${onRemove}>
      <${Icon} name="close" />
    </button>
  `;
}
