import { html, useId, useRef, useState } from "../html.js";
import { Dialog } from "./dialog.js";
import { Links } from "./links.js";
import { Member } from "./member.js";
import { detailOf, errorsAt, explain, isGeneral } from "./problems.js";
import { Failure, Loading, useRequest } from "./request.js";

export function Share({ api, conversation, me, onClose, onChanged = () => {} }) {
  const isOwner = conversation.role === "owner";
  return html`
    <${Dialog} title="${isOwner ? "Share" : "Members of"} “${conversation.title}”" onClose=${onClose}>
      <${Members} api=${api} conversation=${conversation} me=${me} isOwner=${isOwner} onClose=${onClose} onChanged=${onChanged} />
      ${isOwner && html`<${Links} api=${api} conversation=${conversation} />`}
    <//>
  `;
}

function Members({ api, conversation, me, isOwner, onClose, onChanged }) {
  const conversation_id = conversation.id;
  const request = useRequest(async (signal) => (await api.list_shares({ conversation_id, signal })).data.shares, [api, conversation_id]);
  const [error, setError] = useState(null);
  const heading = useRef(null);
  const shares = request.data ?? [];

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
    const known = shares.some((each) => each.user_id === user_id);
    request.replace(known ? shares.map((each) => (each.user_id === user_id ? data : each)) : [...shares, data]);
    onChanged({ shares: true });
  };

  const remove = async (user_id) => {
    try {
      await api.unshare_conversation({ conversation_id, user_id });
    } catch (problem) {
      // Someone else was faster: the user is not a member any more, which is what was asked for.
      if (problem.status !== 404) throw problem;
    }
    if (user_id === me) {
      onChanged({ left: true });
      onClose();
      return;
    }
    request.replace(shares.filter((each) => each.user_id !== user_id));
    heading.current.focus();
    onChanged({ shares: true });
  };

  return html`
    <section class="stack" aria-label="Members">
      ${isOwner && html`<${Invite} onShare=${share} />`}
      <h3 ref=${heading} tabindex="-1">Who has access</h3>
      ${request.error && html`<${Failure} error=${request.error} onRetry=${request.reload} />`}
      ${error && html`<${Failure} error=${error} />`}
      ${request.loading && !request.data && html`<${Loading} what="the members" />`}
      <ul class="row-list">
        <li class="row-item">
          <span class="row-main"><bdi>${conversation.user_id}</bdi> ${conversation.user_id === me && html`<span class="muted">(you)</span>`}</span>
          <span class="muted">Owner</span>
        </li>
        ${shares.map((each) => html`
          <${Member} key=${each.user_id} share=${each} me=${me} isOwner=${isOwner}
            onRole=${(role) => run(() => share(each.user_id, role))} onRemove=${() => run(() => remove(each.user_id))} />
        `)}
      </ul>
      ${isOwner && request.data && shares.length === 0 && html`<p class="help">Only you. People whom you add see it in their own list.</p>`}
    </section>
  `;
}

function Invite({ onShare }) {
  const [user, setUser] = useState("");
  const [role, setRole] = useState("viewer");
  const [error, setError] = useState(null);
  const id = useId();
  const errors = errorsAt(error, "/user_id");

  const submit = async (event) => {
    event.preventDefault();
    const field = event.target.querySelector("input");
    setError(null);
    try {
      await onShare(user.trim(), role);
      setUser("");
    } catch (problem) {
      setError(problem);
    }
    field.focus();
  };

  return html`
    <form class="stack" onSubmit=${submit} noValidate>
      <div class="row">
        <div class="field grow">
          <label for=${id}>Add a person</label>
          <input id=${id} dir="auto" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="User id, such as jonas.weber" autofocus value=${user}
            aria-invalid=${errors.length ? "true" : null} aria-describedby="${id}-help ${errors.length ? `${id}-error` : ""}"
            onInput=${({ target }) => { setUser(target.value); setError(null); }} />
        </div>
        <div class="field">
          <label for="${id}-role">Role</label>
          <select id="${id}-role" value=${role} onChange=${({ target }) => setRole(target.value)}>
            <option value="viewer">Viewer</option>
            <option value="editor">Editor</option>
          </select>
        </div>
        <button class="button primary tall" disabled=${!user.trim()}>Add</button>
      </div>
      ${errors.length > 0 && html`<p class="error" id="${id}-error">The user id ${errors.map(detailOf).join(", ")}.</p>`}
      ${isGeneral(error, ["/user_id"]) && html`<p class="notice error" role="alert">${explain(error)}</p>`}
      <p class="help" id="${id}-help">Viewers read. Editors also write messages. The server does not know all users, so check the spelling.</p>
    </form>
  `;
}
