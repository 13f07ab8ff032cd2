import { html, render } from "./html.js";
import * as session from "./session.js";

session.start();
render(html`<p>Signed in: ${session.userId()}</p><a href="docs">API docs</a>`, document.getElementById("app"));
