// Reads Server-Sent Events by the rules of the HTML standard, section 9.2.6.

/** Turns the text of a stream into events: `for (const event of parser.push(text))`. */
export class EventParser {
  #line = "";
  #afterReturn = false;
  #event = emptyEvent();
  /** The number of the last event, to continue from. Also set by a block that is only an id. */
  lastId = null;
  /** How many milliseconds the server asks clients to wait before they connect again, or null. */
  retry = null;

  *push(text) {
    for (const [part, end] of this.#parts(text)) {
      this.#line += part;
      if (!end) continue;
      const line = this.#line;
      this.#line = "";
      const event = line === "" ? this.#dispatch() : this.#field(line);
      if (event) yield event;
    }
  }

  // Lines end in \n, \r\n or \r. JavaScript's own splitting knows more ends, which JSON may contain.
  *#parts(text) {
    if (this.#afterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) this.#afterReturn = text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    for (const [index, line] of lines.entries()) yield [line, index < lines.length - 1];
  }

  #field(line) {
    if (line.startsWith(":")) return null; // a comment, which keeps the connection open
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#event.event = value;
    else if (name === "data") this.#event.lines.push(value);
    else if (name === "id" && !value.includes("\0")) this.#event.id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return null;
  }

  // Only a complete event counts: if the connection is cut before the empty line, it comes again.
  #dispatch() {
    const { id, event, lines } = this.#event;
    this.#event = emptyEvent();
    if (id !== null) this.lastId = id;
    if (lines.length === 0) return null;
    return { id: this.lastId, event: event || "message", data: lines.join("\n") };
  }
}

function emptyEvent() {
  return { id: null, event: "", lines: [] };
}
