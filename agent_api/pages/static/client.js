// Makes a client of the API from its contract, in the browser: one function for each operationId.
//
//   const api = await connect({ token: () => session.token() });
//   const { data, etag } = await api.get_conversation({ conversation_id });
//   await api.update_conversation({ conversation_id, "If-Match": etag, body: { title: "Leases" } });
//
// Arguments have the names of the contract: path, query and header parameters in one object. Next to
// them there are `body`, `signal`, and `keepalive`, which lets a request outlive the page. A wrong
// name is a TypeError, because the server would ignore it.

import { networkError, problemOf, textOf } from "./errors.js";

export { Offline, Problem } from "./errors.js";

/** The address of the API, which ends in a slash. A proxy may publish it below any path. */
const BASE = new URL("..", import.meta.url).href;

const METHODS = ["get", "put", "post", "patch", "delete"];
const OPTIONS = new Set(["body", "signal", "base", "keepalive"]);
const TIMEOUT_MS = 30_000;

/**
 * Read the contract, and return its operations as functions. They return
 * `{data, status, etag, location, headers}`, and throw a Problem or Offline.
 *
 * `token` returns the user's token, or null. `onUnauthorized` gets the problem of each 401.
 */
export async function connect({ base, token = () => null, onUnauthorized = () => {} } = {}) {
  const settings = { base: base || BASE, token, onUnauthorized };
  const contract = await readContract(settings.base);
  const api = { contract, base: settings.base };
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = compile(contract, path, method, item);
      api[operation.id] = (values = {}) => call(settings, operation, values);
    }
  }
  return Object.freeze(api);
}

async function readContract(base) {
  const request = new Request(`${base}openapi.json`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const response = await send(request);
  if (!response.ok) throw await problemOf(response);
  return JSON.parse(await textOf(response));
}

function compile(contract, path, method, item) {
  const found = item[method];
  const all = [...(item.parameters ?? []), ...(found.parameters ?? [])];
  const parameters = all.map((given) => {
    const name = given.$ref?.split("/").pop();
    return name ? contract.components.parameters[name] : given;
  });
  const security = found.security ?? contract.security ?? [];
  return {
    id: found.operationId,
    path,
    method: method.toUpperCase(),
    places: new Map(parameters.map((parameter) => [parameter.name, parameter.in])),
    needsToken: security.length > 0,
    isStream: Object.keys(found.responses["200"]?.content ?? {}).includes("text/event-stream"),
  };
}

async function call({ base, token, onUnauthorized }, operation, values) {
  const request = requestOf(operation, values, values.base ?? base);
  const secret = operation.needsToken ? token() : null;
  if (secret) request.headers.set("Authorization", `Bearer ${secret}`);
  const response = await send(request);
  if (response.status >= 400) {
    const problem = await problemOf(response);
    if (response.status === 401) onUnauthorized(problem);
    throw problem;
  }
  return {
    // A stream has no end, so its body is read while it arrives: see streams.js.
    data: operation.isStream ? response.body : parse(await textOf(response)),
    status: response.status,
    etag: response.headers.get("ETag"),
    location: response.headers.get("Location"),
    headers: response.headers,
  };
}

function requestOf(operation, values, base) {
  const query = new URLSearchParams();
  const headers = new Headers();
  for (const [name, value] of Object.entries(values)) {
    if (OPTIONS.has(name)) continue;
    const place = operation.places.get(name);
    if (!place) throw new TypeError(`${operation.id} has no parameter ${name}`);
    if (value === undefined || value === null || place === "path") continue;
    if (place === "query") query.append(name, value);
    else headers.set(name, value);
  }
  const init = { method: operation.method, headers, signal: signalOf(operation, values.signal) };
  if (values.keepalive) init.keepalive = true;
  if (values.body !== undefined) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(values.body);
  }
  const search = query.size > 0 ? `?${query}` : "";
  return new Request(`${base}${pathOf(operation, values).slice(1)}${search}`, init);
}

function pathOf({ id, path }, values) {
  return path.replace(/{(\w+)}/g, (_, name) => {
    const value = String(values[name] ?? "");
    if (!value) throw new TypeError(`${id} needs the parameter ${name}`);
    // A browser would resolve the segments "." and "..", and call another path.
    if (/^\.\.?$/.test(value)) throw new TypeError(`${id}: a browser cannot send ${name} "${value}"`);
    return encodeURIComponent(value);
  });
}

function signalOf({ isStream }, signal) {
  const signals = [signal, isStream ? null : AbortSignal.timeout(TIMEOUT_MS)];
  return AbortSignal.any(signals.filter(Boolean));
}

async function send(request) {
  try {
    return await fetch(request);
  } catch (error) {
    throw networkError(error);
  }
}

function parse(text) {
  return text ? JSON.parse(text) : null;
}
