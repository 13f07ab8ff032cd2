import { html, useRef, useState } from "../html.js";
import { Confirm } from "./confirm.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { Invite } from "./invite.js";
import { Links } from "./links.js";
import { Failure, Loading, useRequest } from "./request.js";

const ROLES = { viewer: "Viewer", editor: "Editor" };

/** Members and public links of a conversation. `onLeft` is called when the user has left. */
export function Share({ api, conversation, me, onClose, onLeft }) {
  const isOwner = conversation.role === "owner";
  const members = { api, conversation, me, isOwner, onClose, onLeft };
  return html`
    <${Dialog} title="${isOwner ? "Share" : "Members of"} “${conversation.title}”" onClose=${onClose}>
      <${Members} ...${members} />
      ${isOwner && html`<${Links} api=${api} conversation=${conversation} />`}
    <//>
  `;
}

function Members({ api, conversation, me, isOwner, onClose, onLeft }) {
  const conversation_id = conversation.id;
  const load = async (signal) => (await api.list_shares({ conversation_id, signal })).data.shares;
  const request = useRequest(load, [api, conversation_id]);
  const [error, setError] = useState(null);
  const heading = useRef(null);

  const run = async (action) => {
    setError(null);
    try {
      await action();
    } catch (problem) {
      setError(problem);
    }
  };

  // Sharing with a member again only sets the role, so repeating the request needs no Idempotency-Key.
  const share = async (user_id, role) => {
    const { data } = await api.share_conversation({ conversation_id, body: { user_id, role } });
    const isSame = (each) => each.user_id === user_id;
    request.change((shares) =>
      shares.some(isSame) ? shares.map((each) => (isSame(each) ? data : each)) : [...shares, data],
    );
  };

  const remove = async (user_id) => {
    try {
      await api.unshare_conversation({ conversation_id, user_id });
    } catch (problem) {
      // The user was removed elsewhere, which is what was asked for.
      if (problem.status !== 404) throw problem;
    }
    if (user_id === me) {
      onLeft();
      return onClose();
    }
    request.reload();
    heading.current.focus();
  };

  const member = (each) => html`
    <${Member} key=${each.user_id} share=${each} me=${me} isOwner=${isOwner}
      onRole=${(role) => run(() => share(each.user_id, role))}
      onRemove=${() => run(() => remove(each.user_id))} />
  `;
  return html`
    <section class="stack" aria-label="Members">
      ${isOwner && html`<${Invite} onShare=${share} />`}
      <h3 ref=${heading} tabindex="-1">Who has access</h3>
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${error && html`<${Failure} error=${error} />`}
      ${request.loading && !request.data && html`<${Loading} what="the members" />`}
      <ul class="row-list">
        <li class="row-item">
          <span class="row-main">
            <bdi>${conversation.user_id}</bdi> ${conversation.user_id === me && html`<span class="muted">(you)</span>`}
          </span>
          <span class="muted">Owner</span>
        </li>
        ${request.data?.map(member)}
      </ul>
      ${isOwner && request.data?.length === 0 && html`<p class="help">Only you, so far.</p>`}
    </section>
  `;
}

// Only the owner changes roles and removes members. A member can only leave.
function Member({ share, me, isOwner, onRole, onRemove }) {
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
