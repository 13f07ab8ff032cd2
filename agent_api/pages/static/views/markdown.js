// Markdown of users and agents, safely: HTML in it is shown as text, images as links.
import { html, memo, useMemo, useState } from "../html.js";
import DOMPurify from "../vendor/purify.js";
import { Marked } from "../vendor/marked.js";
import { Icon } from "./icons.js";

const SAFE_LINK = /^(https?:\/\/|mailto:)/i;
const TAGS = [
  "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
  "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
];
const CLEAN = { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ["href", "rel", "target", "start", "align"], ALLOWED_URI_REGEXP: SAFE_LINK };

const escape = (text) =>
  text.replace(/[&<>"']/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[sign]);

function link(href, inner) {
  if (!SAFE_LINK.test(href)) return inner;
  // The page that opens must not learn where the user came from, or change this one.
  return `<a href="${escape(href)}" target="_blank" rel="noopener noreferrer nofollow">${inner}</a>`;
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    link({ href, tokens }) {
      return link(href, this.parser.parseInline(tokens));
    },
    // Loading an image would tell its server who reads this, and when.
    image: ({ href, text }) => link(href, escape(text || href)),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** Show a text. Only blocks that have changed are drawn again, which matters while an answer arrives. */
export function Markdown({ text }) {
  const blocks = useMemo(() => marked.lexer(text).filter((token) => token.type !== "space"), [text]);
  return html`
    <div class="markdown" dir="auto">
      ${blocks.map((token, index) => {
        const Block = token.type === "code" ? Code : Prose;
        return html`<${Block} key=${index} token=${token} raw=${token.raw} />`;
      })}
    </div>
  `;
}

const sameRaw = (before, after) => before.raw === after.raw;

const Prose = memo(({ token }) => {
  const __html = DOMPurify.sanitize(marked.parser([token]), CLEAN);
  const scrolls = token.type === "table";
  return html`<div class=${scrolls ? "table-scroll" : ""} tabindex=${scrolls ? "0" : null}
    dangerouslySetInnerHTML=${{ __html }} />`;
}, sameRaw);

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
