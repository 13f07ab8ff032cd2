"""What stock Connexion 3.3 gets wrong: a test that fails here says that a workaround can go.

Each of these is answered rightly by our frame, as other tests show.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.frame.serving import Handlers, contract, serving, stock_app

ECHO = """
paths:
  /echo:
    post:
      operationId: create_echo
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Thing'}
      responses:
        '200':
          description: The same.
          content:
            application/json:
              schema: {type: object}
components:
  schemas:
    Name: {type: string}
    Thing:
      type: object
      properties:
        name: {nullable: true, allOf: [{$ref: '#/components/schemas/Name'}]}
"""
HANDLERS: Handlers = {"create_echo": lambda body: body}


def echo_with(path: list[str], value: Any) -> dict[str, Any]:
    """Return the contract with `value` at `path` of its one operation."""
    definition = contract(ECHO)
    place = definition["paths"]["/echo"]["post"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return definition


def test_upstream_two_media_types_make_plain_data_a_500() -> None:
    """https://github.com/spec-first/connexion/issues/1956: see Operation.checked."""
    both = {name: {"schema": {"type": "object"}} for name in ("json", "problem+json")}
    content = {f"application/{name}": value for name, value in both.items()}
    definition = echo_with(["responses", "200", "content"], content)

    with serving(stock_app(definition, HANDLERS)) as client:
        assert client.post("/echo", json={}).status_code == 500


def test_upstream_a_chunked_body_counts_as_missing() -> None:
    """https://github.com/spec-first/connexion/issues/2020: see agent_api/contract/body.py, read."""
    with serving(stock_app(contract(ECHO), HANDLERS)) as client:
        headers = {"Content-Type": "application/json"}
        response = client.post("/echo", content=iter([b"{}"]), headers=headers)

    assert response.status_code == 400
    assert "RequestBody is required" in response.text


def test_upstream_a_recursive_contract_is_not_served() -> None:
    """https://github.com/spec-first/connexion/issues/2095: see agent_api/pages/docs.py."""
    definition = contract(ECHO)
    things = {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    definition["components"]["schemas"]["Thing"]["properties"]["things"] = things

    with serving(stock_app(definition, HANDLERS)) as client:
        assert client.get("/openapi.json").status_code == 500


def test_upstream_the_format_uuid_is_not_checked() -> None:
    """See agent_api/contract/schema.py, Schema."""
    schema = {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}}
    definition = echo_with(["requestBody", "content", "application/json", "schema"], schema)

    with serving(stock_app(definition, HANDLERS)) as client:
        assert client.post("/echo", json={"id": "not-a-uuid"}).status_code == 200


def test_upstream_nullable_beside_all_of_is_not_seen() -> None:
    """See agent_api/contract/schema.py, to_json_schema."""
    with serving(stock_app(contract(ECHO), HANDLERS)) as client:
        response = client.post("/echo", json={"name": None})

    assert response.status_code == 400
    assert "None is not of type 'string'" in json.loads(response.content)["detail"]


def test_upstream_a_contract_in_a_file_is_taken_for_a_template(tmp_path: Path) -> None:
    """See agent_api/contract/spec.py, load_contract."""
    definition = echo_with(["description"], "Dear {{name}}!")
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(definition), encoding="utf-8")

    with serving(stock_app(path, HANDLERS)) as client:
        served = client.get("/openapi.json").json()

    assert served["paths"]["/echo"]["post"]["description"] == "Dear !"
