// Every error of the API is a problem (RFC 9457): `type` is for programs, `detail` for people. A 422 also lists each
// mistake with a JSON pointer to it: "/tags/0" is the first tag.

export function explain(error) {
  if (error.name === "Offline") return "You are offline, or the server does not answer. Try again in a moment.";
  if (error.name !== "Problem") return `Something went wrong: ${error.message}`;
  if (error.errors.length > 0) return error.errors.map((each) => `${subject(each)} ${detailOf(each)}.`).join(" ");
  if (error.retryAfter) return `${error.detail} Try again in ${seconds(error.retryAfter)}.`;
  return error.detail;
}

/** Return the mistakes in one property of the body, or in one parameter. */
export function errorsAt(error, pointer) {
  return (error?.errors ?? []).filter((each) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`));
}

/** True if the error names none of these properties, so that it needs a place of its own. */
export function isGeneral(error, pointers) {
  return Boolean(error) && !pointers.some((pointer) => errorsAt(error, pointer).length > 0);
}

/** Return the mistakes in one property as sentences about the field. */
export function mistakesAt(error, pointer, label) {
  return errorsAt(error, pointer).map((each) => `${label} ${detailOf(each)}.`);
}

/** Return what is wrong, after the name of the field. A pattern is written for programs. */
export function detailOf({ detail }) {
  return detail.startsWith("must match ") ? "is not valid" : detail;
}

function subject({ pointer }) {
  const name = pointer.split("/")[1];
  return name ? `“${name.replaceAll("_", " ")}”` : "The request";
}

function seconds(number) {
  return number === 1 ? "1 second" : `${number} seconds`;
}
