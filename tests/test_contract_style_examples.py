"""The style of the examples and links in openapi/agent-api.yaml."""

import uuid
from datetime import datetime

from tests.contract import DOCUMENT, resolved, walk
from tests.contract_parts import (
    COMPONENTS,
    errors,
    examples,
    none,
    operations,
    parameters,
    responses,
)


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


def test_every_example_has_a_short_summary() -> None:
    summaries = {
        name: example.get("summary", "") for name, example in COMPONENTS["examples"].items()
    }
    faults = (f"{name}: {text}" for name, text in summaries.items() if not 0 < len(text) <= 60)
    none(faults, "An example has a summary of at most 60 characters:")


def test_all_examples_are_of_one_user_and_ids_match_their_times() -> None:
    faults = []
    for where, example, _ in examples():
        for pointer, value in walk(example):
            if not isinstance(value, dict):
                continue
            user = value.get("user_id", value.get("created_by", "maria.keller"))
            if value.get("role") in ("viewer", "editor"):  # the user is a member
                user = value.get("shared_by", "maria.keller")
            made = value.get("created_at")
            if user != "maria.keller":
                faults.append(f"{where}{pointer}: {user}")
            if made and "id" in value:
                # A UUIDv7 begins with its milliseconds since 1970.
                clock = uuid.UUID(value["id"]).int >> 80
                if clock != int(datetime.fromisoformat(made).timestamp() * 1000):
                    faults.append(f"{where}{pointer}: {value['id']} was not made at {made}")
    none(faults, "The user is maria.keller, and the time in an id is created_at:")


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
        and where.startswith("create_")
        and where.replace("create_", "get_", 1).split()[0] not in response.get("links", {})
    ]
    none(faults, "A 201 links to the get_ operation of what was created:")
