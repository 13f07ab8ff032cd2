// Markdown of users and agents, safely: its tokens become elements, never HTML that a browser would read.
import { h, html, memo, useMemo, useState } from "../html.js";
import { Icon } from "./icons.js";
import { decode, tokensOf } from "./markdown_text.js";

const SAFE_LINK = /^(https?:\/\/|mailto:)/i;

/** Show a text. Only blocks that have changed are drawn again, which matters while an answer arrives. */
export function Markdown({ text }) {
  const tokens = useMemo(() => tokensOf(text), [text]);
  if (!tokens) return html`<div class="markdown plain" dir="auto">${text}</div>`;
  return html`
    <div class="markdown" dir="auto">
      ${tokens.filter(({ type }) => type !== "space" && type !== "def").map((token, index) => {
        const Block = token.type === "code" ? Code : Prose;
        return html`<${Block} key=${index} token=${token} raw=${token.raw} />`;
      })}
    </div>
  `;
}

const sameRaw = (before, after) => before.raw === after.raw;

const Prose = memo(({ token }) => {
  const scrolls = token.type === "table";
  return html`<div class=${scrolls ? "table-scroll" : ""} tabindex=${scrolls ? "0" : null}>${draw([token])}</div>`;
}, sameRaw);

const draw = (tokens) => tokens.map((token) => (VIEWS[token.type] ?? VIEWS.html)(token));
const element = (name) => ({ tokens }) => h(name, null, draw(tokens));

/** How each type of token is shown. */
const VIEWS = {
  space: () => null,
  def: () => null,
  br: () => html`<br />`,
  hr: () => html`<hr />`,
  strong: element("strong"),
  em: element("em"),
  del: element("del"),
  paragraph: element("p"),
  blockquote: element("blockquote"),
  // The headings of the page and of the message come before those in its text.
  heading: ({ depth, tokens }) => h(`h${Math.min(depth + 2, 6)}`, null, draw(tokens)),
  text: ({ text, tokens }) => (tokens ? draw(tokens) : decode(text)),
  escape: ({ text }) => text,
  codespan: ({ text }) => html`<code>${text}</code>`,
  code: (token) => html`<${Code} token=${token} raw=${token.raw} />`,
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  list: ({ ordered, start, items }) => h(ordered ? "ol" : "ul", start > 1 ? { start } : null, draw(items)),
  list_item: element("li"),
  table: ({ header, rows }) => html`
    <table>
      <thead><tr>${header.map((cell) => html`<th align=${cell.align}>${draw(cell.tokens)}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td align=${cell.align}>${draw(cell.tokens)}</td>`)}</tr>`)}</tbody>
    </table>
  `,
  link: ({ href, tokens }) => link(href, draw(tokens)),
  // Loading an image would tell its server who reads this, and when.
  image: ({ href, text }) => link(href, text || href),
  html: ({ raw, block }) => (block ? html`<p>${raw.trim()}</p>` : raw),
};

function link(href, content) {
  const address = decode(href);
  if (!SAFE_LINK.test(address)) return content;
  // The page that opens must not learn where the user came from, or change this one.
  return html`<a href=${address} target="_blank" rel="noopener noreferrer nofollow">${content}</a>`;
}

const Code = memo(({ token }) => {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(token.text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return html`
    <div class="code" dir="ltr">
      <div class="code-head">
        <span>${token.lang || "text"}</span>
        ${navigator.clipboard && html`
          <button type="button" class="code-copy" onClick=${copy}>
            <${Icon} name=${copied ? "check" : "copy"} />${copied ? "Copied" : "Copy"}
          </button>
        `}
      </div>
      <pre tabindex="0"><code>${token.text}</code></pre>
    </div>
  `;
}, sameRaw);
