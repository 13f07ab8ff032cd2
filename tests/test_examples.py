"""The real server returns every example of a success, word for word."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.contract import resolved
from tests.story import OPERATIONS, STORY, Play, document, parameter_examples

LINKS = [
    (operation, link) for operation in OPERATIONS.values() for link in operation.links.values()
]

SUCCEEDED = ("get_run", "succeeded")

NewPlay = Callable[[], Play]


@pytest.fixture
def new_play(new_client: Callable[..., httpx.Client]) -> NewPlay:
    """Call it to play the story as another new user."""
    return lambda: Play(new_client())


def test_story_contains_every_example_once() -> None:
    of_responses = [
        (o.operation_id, n) for o in OPERATIONS.values() for n in o.responses[o.success]
    ]
    of_requests = [(o.operation_id, name) for o in OPERATIONS.values() for name in o.requests]

    assert sorted(scene for scene in STORY if scene[1]) == sorted(of_responses)
    assert set(of_requests) <= set(STORY)


def test_every_response_of_the_story_equals_its_example(new_play: NewPlay) -> None:
    play = new_play().until(*STORY[-1])

    assert {scene: response.status_code for scene, response in play.responses.items()} == {
        scene: OPERATIONS[scene[0]].success for scene in STORY
    }
    for scene, expected in play.expected.items():
        assert document(play.responses[scene]) == expected, scene
    assert play.responses["delete_conversation", ""].content == b""
    # Each id and time of the examples stands for another real one, in the same order.
    assert len(set(play.cast.real.values())) == len(play.cast.real)
    times = play.cast.times()
    assert times == sorted(times)


def test_examples_of_body_schemas_are_accepted(new_play: NewPlay) -> None:
    for operation in OPERATIONS.values():
        if operation.has_body:
            # An ended run gets no more events.
            is_append = operation.operation_id == "append_run_events"
            scene = ("append_run_events", "words") if is_append else SUCCEEDED
            if operation.for_workers:
                scene = ("create_run", "follow_up")
            play = new_play().until(*scene)
            headers = play.as_worker() if operation.for_workers else None
            response = play.send(operation, {}, operation.body_schema["example"], headers=headers)
            assert response.status_code == operation.success, (
                operation.operation_id,
                response.text,
            )


def test_every_property_of_an_update_is_updated(new_play: NewPlay) -> None:
    for operation in OPERATIONS.values():
        if not operation.operation_id.startswith("update_"):
            continue
        properties = operation.body_schema["properties"]
        # A run has its own rules for these.
        for name in properties.keys() - {"status", "message"}:
            play = new_play().until("get_run", "succeeded")
            before = play.send(operation, {}, {}).json()[name]
            value = changed(properties[name], before)

            after = play.send(operation, {}, {name: value})

            assert after.status_code == operation.success, (operation.operation_id, after.text)
            assert after.json()[name] == value, (operation.operation_id, name)


def changed(schema: dict[str, Any], value: Any) -> Any:
    """Return a value of the schema other than `value`."""
    schema = resolved(schema)
    if "allOf" in schema:
        return changed(schema["allOf"][0], value)
    match schema.get("type"):
        case "boolean":
            return not value
        case "integer" | "number":
            return schema["minimum"] if value != schema["minimum"] else schema["maximum"]
        case "array" if resolved(schema["items"])["type"] == "object":
            return [resolved(schema["items"])["example"] | {"another": str(uuid.uuid4())}]
        case "array":
            return [] if value else [str(uuid.uuid4())]
        case "string":
            return f"another {uuid.uuid4()}"
    return {"another": str(uuid.uuid4())}


def test_examples_of_query_parameters_are_accepted(new_play: NewPlay) -> None:
    play = new_play().until("get_run", "succeeded")
    for operation in OPERATIONS.values():
        for name, example in parameter_examples(operation, "query").items():
            response = play.send(operation, {name: example}, None)
            assert response.status_code == 200, (operation.operation_id, name, response.text)


def test_every_link_leads_to_its_operation(new_play: NewPlay) -> None:
    for operation, link in LINKS:
        target = OPERATIONS[link["operationId"]]
        scene = (operation.operation_id, next(iter(operation.responses[operation.success])))
        play = new_play().until(*scene)
        source = play.responses[scene].json()

        values = {key: evaluated(source, value) for key, value in link["parameters"].items()}
        response = play.client.request(
            target.method,
            target.path.format_map(values),
            params={key: value for key, value in values.items() if f"{{{key}}}" not in target.path},
            json=play.cast.replace(next(iter(target.requests.values()), None)),
        )

        assert response.status_code == target.success, (scene, target.operation_id, response.text)


def evaluated(body: Any, expression: str) -> Any:
    """Return the value of a link's runtime expression in a response body."""
    source, pointer = expression.split("#/")
    assert source == "$response.body"
    for step in pointer.split("/"):
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body
