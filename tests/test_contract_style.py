"""The style of openapi/agent-api.yaml: rules that are stricter than the OpenAPI standard."""

import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from openapi_spec_validator import OpenAPIV30SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.contract import CONTRACT, DOCUMENT, METHODS, PATH, resolved, subschemas, walk

COMPONENTS = CONTRACT["components"]
URI = "urn:contract"
REGISTRY: Registry = Registry().with_resource(URI, DRAFT4.create_resource(CONTRACT))
BODY_VERBS = {"post", "put", "patch"}
VERBS = "list|get|create|update|delete|replace"
HEADERS_OF = {
    "201": "Location",
    "304": "ETag",
    "401": "WWW-Authenticate",
    "405": "Allow",
    "429": "Retry-After",
    "503": "Retry-After",
    "504": "Retry-After",
}
OPTIONAL_OUTPUT = {"/components/schemas/ConversationWithMessages/allOf/1": {"messages"}}
"""Properties of responses that are not always present, by the schema that has them."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the node of each operation."""
    for name, (_, operation) in DOCUMENT.operations().items():
        method, path = name.split()
        yield path, method.lower(), operation


def parameters(path: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    return DOCUMENT.parameters(CONTRACT["paths"][path], operation)


def responses() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield operationId with status, the status, and the response."""
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            yield f"{operation['operationId']} {status}", status, resolved(response)


def examples() -> Iterator[tuple[str, Any, str]]:
    """Yield every example: where it is, its value, and the pointer of its schema."""
    for name, schema in COMPONENTS["schemas"].items():
        if "example" in schema:
            yield f"schema {name}", schema["example"], f"/components/schemas/{name}"
    for kind in ("parameters", "headers"):
        for name, part in COMPONENTS[kind].items():
            if "example" in part:
                yield f"{kind} {name}", part["example"], f"/components/{kind}/{name}/schema"
    for pointer, media in DOCUMENT.media_types():
        for name, value in DOCUMENT.examples(media).items():
            yield f"{pointer} {name}", value, f"{pointer}/schema"


def schemas_of(part: str) -> dict[str, Any]:
    """Return the component schemas that `/requestBody/` or `/responses/` lead to, by pointer."""
    seen: dict[str, Any] = {}
    for pointer, media in DOCUMENT.media_types():
        if part in pointer:
            DOCUMENT.reachable(media["schema"], seen)
    return seen


INPUT_SCHEMAS = schemas_of("/requestBody/")
OUTPUT_SCHEMAS = {
    pointer: schema
    for pointer, schema in schemas_of("/responses/").items()
    if pointer not in INPUT_SCHEMAS
}
"""The schemas that only responses have: what a client wrote is returned in the client's shape."""


def errors(value: Any, schema_pointer: str) -> list[str]:
    validator = OAS30Validator(
        {"$ref": f"{URI}#{schema_pointer}"},
        registry=REGISTRY,
        format_checker=oas30_format_checker,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def none(faults: Iterable[str], rule: str) -> None:
    """Fail with the rule and every place that breaks it."""
    places = sorted(faults)
    if places:
        pytest.fail("\n  ".join([rule, *places]), pytrace=False)


def test_contract_is_valid_openapi() -> None:
    faults = [error.message for error in OpenAPIV30SpecValidator(CONTRACT).iter_errors()]
    none(faults, "The contract breaks OpenAPI 3.0:")


def test_operation_ids_are_unique_and_verb_noun() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    odd = [name for name in names if not re.fullmatch(rf"({VERBS})(_[a-z]+)+", name)]
    none(odd, f"An operationId is verb_noun, with one of {VERBS}:")
    none({name for name in names if names.count(name) > 1}, "An operationId is used twice:")


def test_every_operation_has_a_short_summary_and_a_description() -> None:
    faults = [
        operation["operationId"]
        for _, _, operation in operations()
        if not re.fullmatch(r"[A-Z][a-z]+( [\w'-]+){1,5}", operation.get("summary", ""))
        or len(operation.get("description", "")) < 40
    ]
    none(faults, "An operation has a summary of 2 to 6 words without a stop, and a description:")


def test_every_operation_and_the_introduction_have_at_most_110_lines() -> None:
    methods = "|".join(METHODS)
    found = re.findall(
        rf"^    (?:{methods}):\n((?:      .*\n)+)", PATH.read_text("utf-8"), re.MULTILINE
    )
    lengths = {re.findall(r"operationId: (\w+)", text)[0]: text.count("\n") + 1 for text in found}
    assert lengths.keys() == {operation["operationId"] for _, _, operation in operations()}
    lengths["info.description"] = CONTRACT["info"]["description"].count("\n")
    none((f"{name}: {n}" for name, n in lengths.items() if n > 110), "It has over 110 lines:")


def test_examples_and_links_stand_in_components() -> None:
    faults = [
        f"{where}: {name}"
        for where, media in DOCUMENT.media_types()
        for name, example in media.get("examples", {}).items()
        if "$ref" not in example
    ]
    faults += [
        f"{where}: {name}"
        for where, _, response in responses()
        for name, link in response.get("links", {}).items()
        if "$ref" not in link
    ]
    none(faults, "Move it to components/examples or components/links:")


def test_every_operation_has_one_tag_that_is_described() -> None:
    described = {tag["name"] for tag in CONTRACT["tags"] if len(tag.get("description", "")) > 40}
    used = {tuple(operation.get("tags", [])) for _, _, operation in operations()}
    odd = [str(tags) for tags in used if len(tags) != 1 or tags[0] not in described]
    none(odd, "An operation has exactly one tag, and a tag a paragraph:")
    idle = described - {tag for tags in used for tag in tags}
    none(idle, "A tag has no operation:")


def test_names_have_the_spelling_of_their_kind() -> None:
    path = re.compile(r"(/([a-z]+(-[a-z]+)*|\{[a-z]+(_[a-z]+)*\}))+")
    none((p for p in CONTRACT["paths"] if not path.fullmatch(p)), "A path is kebab-case:")
    names = {name for _, schema in DOCUMENT.all_schemas() for name in schema.get("properties", {})}
    taken = {(part["in"], part["name"]) for part in COMPONENTS["parameters"].values()}
    names |= {name for place, name in taken if place != "header"}
    odd = (name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name))
    none(odd, "A property or parameter is snake_case:")
    headers = {name for place, name in taken if place == "header"} | COMPONENTS["headers"].keys()
    word = r"(WWW|ETag|RateLimit|[A-Z][a-z]+|X)"
    odd = (name for name in headers if not re.fullmatch(rf"{word}(-{word})*", name))
    none(odd, "A header's words begin with a capital:")


def test_every_property_and_parameter_is_described() -> None:
    faults = [
        f"{pointer}/properties/{name}"
        for pointer, schema in DOCUMENT.all_schemas()
        for name, member in schema.get("properties", {}).items()
        if "description" not in resolved(member)
    ]
    named = (*COMPONENTS["parameters"].items(), *COMPONENTS["schemas"].items())
    faults += [name for name, part in named if "description" not in part]
    none(faults, "It has no description:")


BOUNDS = {
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "array": ("maxItems",),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_every_schema_has_bounds(kind: str) -> None:
    faults = [
        f"{pointer}: no {bound}"
        for pointer, schema in DOCUMENT.all_schemas()
        if schema.get("type") == kind
        and not {"enum", "allOf"} & schema.keys()
        and schema.get("format") != "uuid"
        for bound in BOUNDS[kind]
        if bound not in schema
    ]
    none(faults, f"A schema of type {kind} has {' and '.join(BOUNDS[kind])}:")


def test_properties_of_responses_are_required() -> None:
    faults = [
        f"{pointer}: {name}"
        for root, output in OUTPUT_SCHEMAS.items()
        for pointer, schema in subschemas(output, root)
        for name in schema.get("properties", {}).keys()
        - set(schema.get("required", []))
        - OPTIONAL_OUTPUT.get(pointer, set())
    ]
    none(faults, "A property of a response is required, or is in OPTIONAL_OUTPUT:")


def test_optional_properties_of_requests_accept_null() -> None:
    faults = [
        f"{pointer}: {name}"
        for root, schema in INPUT_SCHEMAS.items()
        for pointer, member in subschemas(schema, root)
        for name in member.get("properties", {}).keys() - set(member.get("required", []))
        if errors(None, f"{pointer}/properties/{name}")
    ]
    none(faults, "Clients send null for properties they do not set, but these refuse it:")


def test_nullable_is_repeated_next_to_a_reference() -> None:
    faults = [
        pointer
        for pointer, schema in DOCUMENT.all_schemas()
        for member in schema.get("allOf", [])
        if resolved(member).get("nullable") and not {"type", "nullable"} <= schema.keys()
    ]
    none(faults, "Client generators look for `nullable` only in the property itself:")


def test_requests_allow_unknown_properties_and_have_no_defaults() -> None:
    faults = [
        pointer
        for root, schema in INPUT_SCHEMAS.items()
        for pointer, member in subschemas(schema, root)
        if member.get("additionalProperties") is False or "default" in member
    ]
    none(faults, "A request schema allows unknown properties and describes defaults only in words:")


def test_contract_has_no_one_of_and_no_extension() -> None:
    faults = [
        pointer
        for pointer, value in walk(CONTRACT)
        if isinstance(value, dict)
        for key in value
        if key == "oneOf" or str(key).startswith("x-")
    ]
    none(faults, "Use anyOf, not oneOf, and no extensions:")


def test_everything_has_an_example() -> None:
    shown = {pointer for _, _, pointer in examples()}
    wanted = {f"/components/schemas/{name}" for name in COMPONENTS["schemas"]}
    for kind in ("parameters", "headers"):
        wanted |= {f"/components/{kind}/{name}/schema" for name in COMPONENTS[kind]}
    wanted |= {f"{pointer}/schema" for pointer, _ in DOCUMENT.media_types()}
    none(wanted - shown, "It has no example:")


def test_every_example_matches_its_schema() -> None:
    faults = [f"{where} {e}" for where, value, schema in examples() for e in errors(value, schema)]
    none(faults, "An example does not match its schema:")


def test_every_request_example_has_a_response_example() -> None:
    faults = []
    for _, _, operation in operations():
        content = operation.get("requestBody", {}).get("content", {})
        done = next(status for status in operation["responses"] if status.startswith("2"))
        answered = operation["responses"][done].get("content", {})
        for media, body in content.items():
            missing = body.get("examples", {}).keys() - answered[media].get("examples", {}).keys()
            faults += [f"{operation['operationId']}: {name}" for name in missing]
    none(faults, "An example of a request needs one of the response with the same name:")


def test_all_examples_are_of_one_user_and_ids_match_their_times() -> None:
    faults = []
    for where, example, _ in examples():
        for pointer, value in walk(example):
            if not isinstance(value, dict):
                continue
            user = value.get("user_id", value.get("created_by", "maria.keller"))
            made = value.get("created_at")
            if user != "maria.keller":
                faults.append(f"{where}{pointer}: {user}")
            if made and "id" in value:
                # A UUIDv7 begins with its milliseconds since 1970.
                clock = uuid.UUID(value["id"]).int >> 80
                if clock != int(datetime.fromisoformat(made).timestamp() * 1000):
                    faults.append(f"{where}{pointer}: {value['id']} was not made at {made}")
    none(faults, "The user is maria.keller, and the time in an id is created_at:")


def test_only_errors_are_problem_documents() -> None:
    faults = []
    for where, status, response in responses():
        content = response.get("content", {})
        wanted = {"application/json"} if status < "300" else {"application/problem+json"}
        wanted = set() if status in ("204", "304") else wanted
        if content.keys() != wanted:
            faults.append(f"{where}: {', '.join(content)}")
        for media in content.values():
            for name, value in DOCUMENT.examples(media).items():
                if status >= "300" and str(value["status"]) != status:
                    faults.append(f"{where} example {name}: {value['status']}")
    none(faults, "A success is JSON; an error is a problem document with its own status:")


def test_every_problem_type_is_in_the_manual() -> None:
    used = {e["type"] for where, e, _ in examples() if "responses" in where and "type" in e}
    manual = set(re.findall(r"`(/problems/[a-z-]+)` \| \d{3}", CONTRACT["info"]["description"]))
    none(used ^ manual, "A problem type must be both in the manual and in an example:")


def test_every_response_has_its_headers() -> None:
    faults = [
        f"{where}: {header}"
        for where, status, response in responses()
        for header in {"X-Request-Id", HEADERS_OF.get(status, "X-Request-Id")}
        if response.get("headers", {}).get(header) != {"$ref": f"#/components/headers/{header}"}
    ]
    none(faults, "A response lacks a header:")


def test_resources_with_an_etag_have_conditional_headers() -> None:
    faults = []
    tagged: dict[str, set[str]] = {}
    for path, method, operation in operations():
        done = next(status for status in operation["responses"] if status.startswith("2"))
        if "ETag" in resolved(operation["responses"][done])["headers"]:
            tagged.setdefault(path, set()).add(method)
    for path, method, operation in operations():
        headers = {part["name"] for part in parameters(path, operation) if part["in"] == "header"}
        wanted = set()
        if "get" in tagged.get(path, ()) and method != "post":
            wanted = {"If-None-Match" if method == "get" else "If-Match"}
            if method not in tagged[path] | {"delete"}:
                faults.append(f"{operation['operationId']}: no ETag in its response")
        if headers & {"If-Match", "If-None-Match"} != wanted:
            faults.append(f"{operation['operationId']}: {', '.join(sorted(headers))}")
    none(faults, "A resource with an ETag has If-None-Match to read and If-Match to change it:")


def test_every_operation_lists_each_status_it_can_return() -> None:
    faults = []
    for path, method, operation in operations():
        is_open = operation.get("security") == []
        has_body = "requestBody" in operation
        given = parameters(path, operation)
        wanted = {"500"}
        wanted |= set() if is_open else {"401", "429", "503", "504"}
        wanted |= {"400", "408", "413", "415", "422"} if has_body else set()
        wanted |= {"422"} if given else set()
        wanted |= {"403", "404"} if any(part["in"] == "path" for part in given) else set()
        headers = {part["name"] for part in given if part["in"] == "header"}
        wanted |= {"304"} if "If-None-Match" in headers else set()
        wanted |= {"412"} if "If-Match" in headers else set()
        # 405 and 409 depend on the operation, and so does 503 of the open health checks.
        listed = {status for status in operation["responses"] if status >= "300"}
        odd = (listed ^ wanted) - {"405", "409", *({"503"} if is_open else ())}
        if odd or has_body != (method in BODY_VERBS):
            faults.append(f"{operation['operationId']}: {', '.join(sorted(odd)) or 'its body'}")
    none(faults, "An operation lists a status it cannot return, or lacks one that it can:")


def test_only_health_checks_are_open() -> None:
    open_operations = {o["operationId"] for _, _, o in operations() if o.get("security") == []}
    assert CONTRACT["security"] == [{"bearerAuth": []}], "A token is required by default"
    assert open_operations == {"get_health", "get_readiness"}, "Only these work without a token"


def test_components_are_used_and_references_have_targets() -> None:
    used = {
        value["$ref"] for _, value in walk(CONTRACT) if isinstance(value, dict) and "$ref" in value
    }
    kinds = COMPONENTS.keys() - {"securitySchemes"}
    known = {f"#/components/{kind}/{name}" for kind in kinds for name in COMPONENTS[kind]}
    none(known - used, "A component is not used:")
    none(used - known, "A reference has no target:")


def test_every_link_has_an_operation_and_its_required_parameters() -> None:
    by_id = {operation["operationId"]: (path, operation) for path, _, operation in operations()}
    faults = []
    for where, _, response in responses():
        for link in map(resolved, response.get("links", {}).values()):
            target = link["operationId"]
            if target not in by_id:
                faults.append(f"{where}: unknown operation {target}")
                continue
            known = parameters(*by_id[target])
            needed = {parameter["name"] for parameter in known if parameter.get("required")}
            given = link.get("parameters", {}).keys()
            if not needed <= given <= {parameter["name"] for parameter in known}:
                faults.append(f"{where}: {target} does not take the parameters {list(given)}")
    none(faults, "A link is broken:")


def test_values_of_links_are_in_the_examples() -> None:
    faults = []
    for where, _, response in responses():
        sources = {
            value
            for link in response.get("links", {}).values()
            for value in resolved(link)["parameters"].values()
        }
        for media in response.get("content", {}).values():
            for name, value in DOCUMENT.examples(media).items():
                found = {f"$response.body#{pointer}" for pointer, _ in walk(value)}
                faults += [f"{where} example {name}: {source}" for source in sources - found]
    none(faults, "A link reads a value that the response does not have:")


def test_every_create_links_to_the_created_row() -> None:
    faults = [
        where
        for where, status, response in responses()
        if status == "201"
        and where.replace("create_", "get_", 1).split()[0] not in response.get("links", {})
    ]
    none(faults, "A 201 links to the get_ operation of what was created:")
