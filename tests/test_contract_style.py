"""The style of openapi/agent-api.yaml: rules that are stricter than the OpenAPI standard."""

import re

from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract import CONTRACT, DOCUMENT, METHODS, PATH, resolved, walk
from tests.contract_parts import (
    COMPONENTS,
    examples,
    none,
    operations,
    parameters,
    responses,
)

BODY_VERBS = {"post", "put", "patch"}
VERBS = (
    "list|get|create|update|bulk_update|delete|replace|append|stream|claim|heartbeat|cancel|mark"
    "|set|share|unshare|activate|fork"
)
WITHOUT_BODY = {"cancel_run", "heartbeat_run"}
HEADERS_OF = {
    "201": "Location",
    "304": "ETag",
    "401": "WWW-Authenticate",
    "405": "Allow",
    "429": "Retry-After",
    "503": "Retry-After",
    "504": "Retry-After",
}


def test_contract_is_valid_openapi() -> None:
    faults = [error.message for error in OpenAPIV30SpecValidator(CONTRACT).iter_errors()]
    none(faults, "The contract breaks OpenAPI 3.0:")


def test_operation_ids_are_unique_and_verb_noun() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    odd = [name for name in names if not re.fullmatch(rf"({VERBS})(_[a-z]+)+|search", name)]
    none(odd, f"An operationId is verb_noun, with one of {VERBS}, or search:")
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


def test_text_is_wrapped() -> None:
    lines = enumerate(PATH.read_text("utf-8").splitlines(), start=1)
    # Tokens, such as cursors, cannot be wrapped.
    faults = (
        f"line {number}"
        for number, line in lines
        if len(line) > 105 and max(len(word) for word in line.split()) < 60
    )
    none(faults, "Wrap it at 100 characters:")


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
    word = r"(WWW|ID|ETag|RateLimit|[A-Z][a-z]+|X)"
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


def test_contract_has_no_one_of_and_no_extension() -> None:
    faults = [
        pointer
        for pointer, value in walk(CONTRACT)
        if isinstance(value, dict)
        for key in value
        if key == "oneOf" or str(key).startswith("x-")
    ]
    none(faults, "Use anyOf, not oneOf, and no extensions:")


def test_only_errors_are_problem_documents() -> None:
    faults = []
    for where, status, response in responses():
        content = response.get("content", {})
        wanted = {"application/json"} if status < "300" else {"application/problem+json"}
        wanted = (
            {"text/event-stream"} if where.startswith("stream_") and status == "200" else wanted
        )
        wanted = set() if status in ("204", "304") else wanted
        if content.keys() != wanted:
            faults.append(f"{where}: {', '.join(content)}")
        for media in content.values():
            for name, value in DOCUMENT.examples(media).items():
                if status >= "300" and str(value["status"]) != status:
                    faults.append(f"{where} example {name}: {value['status']}")
    none(
        faults, "A success is JSON or a stream; an error is a problem document with its own status:"
    )


def test_every_problem_type_is_in_the_manual() -> None:
    shown = [e for where, e, _ in examples() if "responses" in where and isinstance(e, dict)]
    used = {e["type"] for e in shown if "type" in e}
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
        # 403: another user's row, a wrong scope, or a lease that is not accepted
        wanted |= set() if is_open else {"401", "403", "429", "503", "504"}
        wanted |= {"400", "408", "413", "415", "422"} if has_body else set()
        wanted |= {"422"} if given else set()
        on_row = any(part["in"] == "path" for part in given)
        # A lease names a row that exists.
        needs_lease = operation.get("security") == [{"bearerAuth": [], "runLease": []}]
        wanted |= {"404"} if on_row and not needs_lease else set()
        headers = {part["name"] for part in given if part["in"] == "header"}
        wanted |= {"304"} if "If-None-Match" in headers else set()
        wanted |= {"412"} if "If-Match" in headers else set()
        # Anyone may read what a link shows, as often as the limit for addresses allows.
        wanted |= {"429", "503", "504"} if is_open and on_row else set()
        # 405, 409 and 410 depend on the operation, and so does 503 of the open health checks.
        listed = {status for status in operation["responses"] if status >= "300"}
        odd = (listed ^ wanted) - {"405", "409", "410", *({"503"} if is_open else ())}
        takes_body = method in BODY_VERBS and operation["operationId"] not in WITHOUT_BODY
        if odd or has_body != takes_body:
            faults.append(f"{operation['operationId']}: {', '.join(sorted(odd)) or 'its body'}")
    none(faults, "An operation lists a status it cannot return, or lacks one that it can:")


def test_only_health_checks_and_links_are_open() -> None:
    open_operations = {o["operationId"] for _, _, o in operations() if o.get("security") == []}
    assert CONTRACT["security"] == [{"bearerAuth": []}], "A token is required by default"
    allowed = {"get_health", "get_readiness", "get_shared_conversation"}
    assert open_operations == allowed, "Only these work without a token"


def test_components_are_used_and_references_have_targets() -> None:
    used = {
        value["$ref"] for _, value in walk(CONTRACT) if isinstance(value, dict) and "$ref" in value
    }
    kinds = COMPONENTS.keys() - {"securitySchemes"}
    known = {f"#/components/{kind}/{name}" for kind in kinds for name in COMPONENTS[kind]}
    none(known - used, "A component is not used:")
    none(used - known, "A reference has no target:")
