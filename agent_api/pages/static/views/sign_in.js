import { html, useState } from "../html.js";
import { Field } from "./field.js";

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Ask for a token. `problem` says why the last one was refused; without it, the user has none yet.
 * `token` is that of a link, and `user` its user.
 */
export function SignIn({ problem, token, user, onToken, onCancel }) {
  const [text, setText] = useState(token);
  const [mistakes, setMistakes] = useState([]);

  const onInput = ({ target }) => {
    setText(target.value);
    setMistakes([]);
  };
  const submit = (event) => {
    event.preventDefault();
    const found = tokenIn(text);
    if (TOKEN.test(found)) return onToken(found);
    setMistakes([found ? "This is not a token: it has three parts with dots between them." : "Paste a token."]);
    event.target.querySelector("input").focus();
  };

  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit} noValidate>
        <h1>${problem && !token ? "Sign in again" : "Sign in"}</h1>
        ${token || problem
          ? html`<p class="notice error" role="alert">
              ${token ? `The link signs you in as ${user ?? "somebody"}. Continue only if you asked for it.` : problem.detail}
            </p>`
          : html`<p class="muted">The page needs a token, which tells the API who you are.</p>`}
        <${Field} label="Token" mistakes=${mistakes}>
          ${(control) => html`
            <input ...${control} type="password" autocomplete="off" spellcheck="false" autofocus
              value=${text} onInput=${onInput} />
          `}
        <//>
        <button class="button primary">Sign in</button>
        ${token && html`<button type="button" class="button" onClick=${onCancel}>Cancel</button>`}
        <aside class="help">
          <p>The token stays in this tab. Closing the tab signs you out.</p>
          <p>On your own machine, open the link that <code>make serve</code> prints, or print a token:</p>
          <pre dir="ltr"><code>.venv/bin/agent-api token --user alice</code></pre>
        </aside>
      </form>
    </main>
  `;
}

// Accepts a token, the value of the Authorization header, or the link that `make serve` prints.
function tokenIn(text) {
  const pasted = text.trim();
  const fragment = pasted.includes("#") ? pasted.slice(pasted.indexOf("#") + 1) : "";
  return new URLSearchParams(fragment).get("token") ?? pasted.replace(/^Bearer\s+/i, "");
}
