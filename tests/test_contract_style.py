"""Holds the style of openapi/agent-api.yaml: what the OpenAPI standard allows but we do not."""

import re
import uuid
from collections.abc import Iterable
from datetime import datetime

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract_walk import (
    BODY_VERBS,
    COMPONENTS,
    CONTRACT,
    METHODS,
    PATH,
    errors,
    examples,
    input_schemas,
    media_types,
    operations,
    output_schemas,
    parameters,
    resolved,
    responses,
    schemas,
    subschemas,
    walk,
)

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
"""Properties of answers that are not always present, by the schema that has them."""


def none(faults: Iterable[str], rule: str) -> None:
    """Fail with the rule and every place that breaks it."""
    places = sorted(faults)
    if places:
        pytest.fail("\n  ".join([rule, *places]), pytrace=False)


def test_the_contract_is_valid_openapi() -> None:
    faults = [error.message for error in OpenAPIV30SpecValidator(CONTRACT).iter_errors()]
    none(faults, "The contract breaks OpenAPI 3.0:")


def test_every_operation_id_is_a_verb_and_a_noun_and_stands_once() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    odd = [name for name in names if not re.fullmatch(rf"({VERBS})(_[a-z]+)+", name)]
    none(odd, f"An operationId is verb_noun, with one of {VERBS}:")
    none({name for name in names if names.count(name) > 1}, "An operationId is used twice:")


def test_every_summary_is_a_short_command_and_every_description_says_more() -> None:
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
        for where, media in media_types()
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


def test_names_are_spelled_as_their_kind_is() -> None:
    path = re.compile(r"(/([a-z]+(-[a-z]+)*|\{[a-z]+(_[a-z]+)*\}))+")
    none((p for p in CONTRACT["paths"] if not path.fullmatch(p)), "A path is kebab-case:")
    names = {name for _, schema in schemas() for name in schema.get("properties", {})}
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
        for pointer, schema in schemas()
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
def test_everything_that_can_grow_has_bounds(kind: str) -> None:
    faults = [
        f"{pointer}: no {bound}"
        for pointer, schema in schemas()
        if schema.get("type") == kind
        and not {"enum", "allOf"} & schema.keys()
        and schema.get("format") != "uuid"
        for bound in BOUNDS[kind]
        if bound not in schema
    ]
    none(faults, f"A schema of type {kind} has {' and '.join(BOUNDS[kind])}:")


def test_every_answer_lists_its_properties_as_required() -> None:
    faults = [
        f"{pointer}: {name}"
        for root, output in output_schemas().items()
        for pointer, schema in subschemas(output, root)
        for name in schema.get("properties", {}).keys()
        - set(schema.get("required", []))
        - OPTIONAL_OUTPUT.get(pointer, set())
    ]
    none(faults, "A property of an answer is required, or stands in OPTIONAL_OUTPUT:")


def test_every_optional_property_of_a_request_may_be_null() -> None:
    faults = [
        f"{pointer}: {name}"
        for root, schema in input_schemas().items()
        for pointer, member in subschemas(schema, root)
        for name in member.get("properties", {}).keys() - set(member.get("required", []))
        if errors(None, f"{pointer}/properties/{name}")
    ]
    none(faults, "Clients send null for what they do not set, and here it is refused:")


def test_a_property_that_may_be_null_says_so_beside_its_reference() -> None:
    faults = [
        pointer
        for pointer, schema in schemas()
        for member in schema.get("allOf", [])
        if resolved(member).get("nullable") and not {"type", "nullable"} <= schema.keys()
    ]
    none(faults, "A generator of clients may look no further than the property for `nullable`:")


def test_requests_stay_open_and_have_no_defaults() -> None:
    faults = [
        pointer
        for root, schema in input_schemas().items()
        for pointer, member in subschemas(schema, root)
        if member.get("additionalProperties") is False or "default" in member
    ]
    none(faults, "A request body ignores unknown properties, and its words say the defaults:")


def test_there_is_no_one_of_and_no_extension() -> None:
    faults = [
        pointer
        for pointer, value in walk(CONTRACT)
        if isinstance(value, dict)
        for key in value
        if key == "oneOf" or str(key).startswith("x-")
    ]
    none(faults, "oneOf refuses what two members accept, and extensions name an implementation:")


def test_everything_has_an_example() -> None:
    shown = {pointer for _, _, pointer in examples()}
    wanted = {f"/components/schemas/{name}" for name in COMPONENTS["schemas"]}
    for kind in ("parameters", "headers"):
        wanted |= {f"/components/{kind}/{name}/schema" for name in COMPONENTS[kind]}
    wanted |= {f"{pointer}/schema" for pointer, _ in media_types()}
    none(wanted - shown, "It has no example:")


def test_every_example_keeps_its_schema() -> None:
    faults = [f"{where} {e}" for where, value, schema in examples() for e in errors(value, schema)]
    none(faults, "An example breaks its schema:")


def test_every_request_example_has_its_answer() -> None:
    faults = []
    for _, _, operation in operations():
        content = operation.get("requestBody", {}).get("content", {})
        done = next(status for status in operation["responses"] if status.startswith("2"))
        answered = operation["responses"][done].get("content", {})
        for media, body in content.items():
            missing = body.get("examples", {}).keys() - answered[media].get("examples", {}).keys()
            faults += [f"{operation['operationId']}: {name}" for name in missing]
    none(faults, "An example of a request has an answer of the same name:")


def test_all_examples_have_one_cast() -> None:
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
    none(faults, "The user is the same everywhere, and an id agrees with its created_at:")


def test_errors_and_only_errors_are_problem_documents() -> None:
    faults = []
    for where, status, response in responses():
        content = response.get("content", {})
        wanted = {"application/json"} if status < "300" else {"application/problem+json"}
        wanted = set() if status in ("204", "304") else wanted
        if content.keys() != wanted:
            faults.append(f"{where}: {', '.join(content)}")
        for media in content.values():
            for name, example in media.get("examples", {}).items():
                if status >= "300" and str(resolved(example)["value"]["status"]) != status:
                    faults.append(f"{where} example {name}: {resolved(example)['value']['status']}")
    none(faults, "An answer is JSON, an error a problem document with its own status:")


def test_every_problem_type_stands_in_the_manual() -> None:
    used = {e["type"] for where, e, _ in examples() if "responses" in where and "type" in e}
    manual = set(re.findall(r"`(/problems/[a-z-]+)` \| \d{3}", CONTRACT["info"]["description"]))
    none(used ^ manual, "A problem type is in the manual or in an example, and not in both:")


def test_every_response_has_its_headers() -> None:
    faults = [
        f"{where}: {header}"
        for where, status, response in responses()
        for header in {"X-Request-Id", HEADERS_OF.get(status, "X-Request-Id")}
        if response.get("headers", {}).get(header) != {"$ref": f"#/components/headers/{header}"}
    ]
    none(faults, "A response lacks a header:")


def test_what_has_an_etag_can_be_asked_for_and_changed_by_it() -> None:
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
                faults.append(f"{operation['operationId']}: no ETag in its answer")
        if headers & {"If-Match", "If-None-Match"} != wanted:
            faults.append(f"{operation['operationId']}: {', '.join(sorted(headers))}")
    none(faults, "What comes with an ETag is read by If-None-Match, and changed by If-Match:")


def test_every_operation_lists_each_status_it_can_give() -> None:
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
        # 405 and 409, and 503 of a check without a token, depend on what the operation does.
        listed = {status for status in operation["responses"] if status >= "300"}
        odd = (listed ^ wanted) - {"405", "409", *({"503"} if is_open else ())}
        if odd or has_body != (method in BODY_VERBS):
            faults.append(f"{operation['operationId']}: {', '.join(sorted(odd)) or 'its body'}")
    none(faults, "An operation lists a status it cannot give, or not one that it can:")


def test_only_health_checks_are_open() -> None:
    open_operations = {o["operationId"] for _, _, o in operations() if o.get("security") == []}
    assert CONTRACT["security"] == [{"bearerAuth": []}], "The token is required unless it is said"
    assert open_operations == {"get_health", "get_readiness"}, "Only these work without a token"


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    used = {
        value["$ref"] for _, value in walk(CONTRACT) if isinstance(value, dict) and "$ref" in value
    }
    kinds = COMPONENTS.keys() - {"securitySchemes"}
    known = {f"#/components/{kind}/{name}" for kind in kinds for name in COMPONENTS[kind]}
    none(known - used, "A component is not used:")
    none(used - known, "A reference leads nowhere:")


def test_every_link_leads_to_an_operation_and_gives_it_what_it_needs() -> None:
    by_id = {operation["operationId"]: (path, operation) for path, _, operation in operations()}
    faults = []
    for where, _, response in responses():
        for link in map(resolved, response.get("links", {}).values()):
            target = link["operationId"]
            if target not in by_id:
                faults.append(f"{where}: there is no {target}")
                continue
            known = parameters(*by_id[target])
            needed = {parameter["name"] for parameter in known if parameter.get("required")}
            given = link.get("parameters", {}).keys()
            if not needed <= given <= {parameter["name"] for parameter in known}:
                faults.append(f"{where}: {target} takes other parameters than {list(given)}")
    none(faults, "A link is broken:")


def test_every_link_finds_its_value_in_the_examples() -> None:
    faults = []
    for where, _, response in responses():
        sources = {
            value
            for link in response.get("links", {}).values()
            for value in resolved(link)["parameters"].values()
        }
        for media in response.get("content", {}).values():
            for name, example in media.get("examples", {}).items():
                found = {
                    f"$response.body#{pointer}" for pointer, _ in walk(resolved(example)["value"])
                }
                faults += [f"{where} example {name}: {source}" for source in sources - found]
    none(faults, "A link reads what the response does not have:")


def test_every_create_links_to_what_it_made() -> None:
    faults = [
        where
        for where, status, response in responses()
        if status == "201"
        and where.replace("create_", "get_", 1).split()[0] not in response.get("links", {})
    ]
    none(faults, "A 201 links to the get_ operation of what was created:")
