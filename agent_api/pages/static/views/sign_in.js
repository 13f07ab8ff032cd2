import { html, useId, useState } from "../html.js";

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;

// Accepts a token, the header's value, or the link that `make serve` prints.
function tokenIn(text) {
  const pasted = text.trim();
  const fragment = pasted.includes("#") ? new URLSearchParams(pasted.slice(pasted.indexOf("#") + 1)) : null;
  return fragment?.get("token") ?? pasted.replace(/^Bearer\s+/i, "");
}

export function SignIn({ problem, onToken }) {
  const [text, setText] = useState("");
  const [mistake, setMistake] = useState(null);
  const id = useId();
  const errorId = `${id}-error`;

  const submit = (event) => {
    event.preventDefault();
    const token = tokenIn(text);
    if (TOKEN.test(token)) return onToken(token);
    setMistake(token ? "This is not a token: it has three parts with dots between them." : "Paste a token.");
    event.target.querySelector("input").focus();
  };

  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit} noValidate>
        <h1>${problem ? "Sign in again" : "Sign in"}</h1>
        ${problem
          ? html`<p class="notice error" role="alert">${problem.detail}</p>`
          : html`<p class="muted">The page needs a token, which tells the API who you are.</p>`}
        <div class="field">
          <label for=${id}>Token</label>
          <input id=${id} type="password" autocomplete="off" spellcheck="false" autofocus value=${text}
            aria-invalid=${mistake ? "true" : null} aria-describedby=${mistake ? errorId : null}
            onInput=${(event) => { setText(event.target.value); setMistake(null); }} />
          ${mistake && html`<p class="error" id=${errorId}>${mistake}</p>`}
        </div>
        <button class="button primary">Sign in</button>
        <aside class="help">
          <p>On your own machine, open the link that <code>make serve</code> prints, or print a token:</p>
          <pre dir="ltr"><code>.venv/bin/agent-api token --user alice</code></pre>
          <p>The token stays in this tab. Closing the tab signs you out.</p>
        </aside>
      </form>
    </main>
  `;
}
