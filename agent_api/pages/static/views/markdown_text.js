// Reads Markdown into tokens, also if somebody wrote it to make this slow.
import { Lexer, getDefaults } from "../vendor/marked.js";

// The time that marked takes grows with the square of a paragraph's length, and its stack with the
// depth of what is nested.
const MAX_TEXT = 100_000;
const MAX_PARAGRAPH = 10_000;
const MAX_WORK = 2 * MAX_PARAGRAPH ** 2;
const MAX_DEPTH = 40;
const TOO_DEEP = /^([ \t]*(>|[*+-][ \t]|\d{1,9}[.)][ \t])){40}|^[ \t]{160}/m;
// An item of a list whose lines go on and on: marked copies it for each of them.
const TOO_LONG_ITEM = /^[ \t>]*([*+-]|\d{1,9}[.)])[ \t].*(\n(?![ \t>]*([*+-]|\d{1,9}[.)])[ \t])[ \t>]*[^\s>].*){500}/m;

class BoundedLexer extends Lexer {
  #depth = 0; // of emphasis and links in each other
  #work = 0; // sum of the squares of the paragraphs' lengths

  inlineTokens(text, tokens = []) {
    if (this.#depth === 0) this.#work += text.length ** 2;
    if (text.length > MAX_PARAGRAPH || this.#work > MAX_WORK || this.#depth === MAX_DEPTH) {
      tokens.push({ type: "text", raw: text, text });
      return tokens;
    }
    this.#depth += 1;
    super.inlineTokens(text, tokens);
    this.#depth -= 1;
    return tokens;
  }
}

/** Return the tokens of a text, or null if it must be shown as it is. */
export function tokensOf(text) {
  if (text.length > MAX_TEXT || TOO_DEEP.test(text) || TOO_LONG_ITEM.test(text)) return null;
  return new BoundedLexer({ ...getDefaults(), gfm: true, breaks: true }).lex(text);
}

const NAMED = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", hellip: "…", mdash: "—", ndash: "–",
};

/** Replace the character references of a text, such as &amp;amp;. Unknown names stay as they are. */
export function decode(text) {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi, (found, decimal, hex, name) => {
    if (name) return Object.hasOwn(NAMED, name) ? NAMED[name] : found;
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd";
  });
}
