// What a call of the API can fail with. Everything else is a mistake in the page.

/** The server's answer is an error: a problem document (RFC 9457), or what a proxy made up. */
export class Problem extends Error {
  constructor(response, document) {
    super(document.detail ?? document.title ?? `The server answered ${response.status}.`);
    this.name = "Problem";
    this.status = response.status;
    // Programs distinguish problems by `type`; `detail` is for people and may change.
    this.type = document.type ?? "about:blank";
    this.title = document.title ?? response.statusText;
    this.detail = this.message;
    // Of a 422: one entry for each mistake, `{in: "body", pointer: "/temperature", detail: "..."}`.
    this.errors = document.errors ?? [];
    // Seconds, after a 409, 429, 503 or 504.
    const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    this.retryAfter = Number.isNaN(seconds) ? null : seconds;
    // Name it when you report a fault.
    this.requestId = response.headers.get("X-Request-Id");
  }
}

/** No answer: no network, no server, or none in time. Whether a POST was carried out is unknown. */
export class Offline extends Error {
  constructor(cause) {
    super("The server cannot be reached.", { cause });
    this.name = "Offline";
  }
}

/** Return the problem that a response with an error contains. */
export async function problemOf(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/problem+json")) return new Problem(response, {});
  return new Problem(response, JSON.parse(await textOf(response)));
}

/** Return the body of a response, which may be cut off. */
export async function textOf(response) {
  try {
    return await response.text();
  } catch (error) {
    throw networkError(error);
  }
}

/** Return what to throw after fetch has failed: the caller's own abort stays what it is. */
export function networkError(error) {
  return error.name === "AbortError" ? error : new Offline(error);
}

/** True if the same request may succeed later: no answer, too many requests, a failure of the server. */
export function isTemporary(error) {
  return error instanceof Offline || (error instanceof Problem && (error.status === 429 || error.status >= 500));
}
