// Every error of the API is a problem (RFC 9457): `type` is for programs, `detail` for people.

export function explain(error) {
  if (error.name === "Offline") return "You are offline, or the server does not answer. Try again in a moment.";
  if (error.name !== "Problem") return `Something went wrong: ${error.message}`;
  if (error.retryAfter) return `${error.detail} Try again in ${seconds(error.retryAfter)}.`;
  return error.detail;
}

// Mistakes have a JSON pointer: "/tags/0" is the first tag. Returns those of one property.
export function errorsAt(error, pointer) {
  return (error?.errors ?? []).filter((each) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`));
}

// A pattern is written for programs.
export function detailOf({ detail }) {
  return detail.startsWith("must match ") ? "is not valid" : detail;
}

// True if the error names none of these properties, so that it needs a place of its own.
export function isGeneral(error, pointers) {
  return Boolean(error) && !pointers.some((pointer) => errorsAt(error, pointer).length > 0);
}

function seconds(number) {
  return number === 1 ? "1 second" : `${number} seconds`;
}
