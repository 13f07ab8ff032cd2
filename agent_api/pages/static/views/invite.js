import { html, useState } from "../html.js";
import { Field } from "./field.js";
import { isGeneral, mistakesAt } from "./problems.js";
import { Failure } from "./request.js";

/** A form that adds a member. `onShare` sends the request, and rejects with the problem. */
export function Invite({ onShare }) {
  const [user, setUser] = useState("");
  const [role, setRole] = useState("viewer");
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);

  const onInput = ({ target }) => {
    setUser(target.value);
    setError(null);
  };
  const submit = async (event) => {
    event.preventDefault();
    if (busy || !user.trim()) return;
    const input = event.target.querySelector("input");
    setBusy(true);
    setError(null);
    try {
      await onShare(user.trim(), role);
      setUser((now) => (now === user ? "" : now));
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
    input.focus();
  };

  return html`
    <form class="stack" onSubmit=${submit} noValidate>
      <div class="row">
        <${Field} class="grow" label="Add a person" mistakes=${mistakesAt(error, "/user_id", "The user id")}>
          ${(control) => html`
            <input ...${control} dir="auto" autocomplete="off" autocapitalize="off" spellcheck="false" autofocus
              placeholder="User id" value=${user} onInput=${onInput} />
          `}
        <//>
        <${Field} label="Role">
          ${(control) => html`
            <select ...${control} value=${role} onChange=${({ target }) => setRole(target.value)}>
              <option value="viewer">Viewer</option>
              <option value="editor">Editor</option>
            </select>
          `}
        <//>
        <button class="button primary tall" aria-busy=${busy}>Add</button>
      </div>
      ${isGeneral(error, ["/user_id"]) && html`<${Failure} error=${error} />`}
      <p class="help">
        Viewers read, editors also write messages. The server does not know all users, so check the spelling.
      </p>
    </form>
  `;
}
