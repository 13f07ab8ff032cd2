// Reads the schemas of the contract (OpenAPI 3.0), so that a form has the fields that an operation takes.

/** Return the schema of an operation's body. */
export function bodySchema(contract, operationId) {
  const body = operation(contract, operationId).requestBody;
  return resolve(contract, body.content["application/json"].schema);
}

/** Return the schema of an operation's answer. */
export function answerSchema(contract, operationId) {
  const { 200: answer } = operation(contract, operationId).responses;
  return resolve(contract, answer.content["application/json"].schema);
}

/** Return the fields of a form for an object of this schema. */
export function fieldsOf(contract, schema) {
  return Object.entries(schema.properties).map(([name, property]) => {
    const { type, description, minimum } = resolve(contract, property);
    return { name, pointer: `/${name}`, label: labelOf(name), help: helpOf(description), type, minimum };
  });
}

function operation(contract, operationId) {
  return Object.values(contract.paths)
    .flatMap((path) => Object.values(path))
    .find((each) => each.operationId === operationId);
}

function resolve(contract, schema) {
  const [whole] = schema.allOf ?? [schema];
  return whole.$ref ? { ...contract.components.schemas[whole.$ref.split("/").pop()], ...own(schema) } : schema;
}

// What stands next to a reference wins, such as the description.
function own({ allOf, $ref, ...others }) {
  return others;
}

function labelOf(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

// The form sends null for an empty field, so "Null means 0.7." becomes "Empty means 0.7."
function helpOf(description = "") {
  return description.replace(/\bNull\b/g, "Empty").replaceAll("`", "");
}
