"""Defects of stock Connexion 3.3. If a test fails here, its workaround can be removed.

Other tests show that our framework layer handles each case correctly.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.framework.apps import Handlers, contract, serving, stock_app

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
          description: The request body.
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
    """Return the ECHO contract with `value` at `path` of its operation."""
    definition = contract(ECHO)
    place = definition["paths"]["/echo"]["post"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return definition


def test_connexion_fails_for_plain_data_with_two_media_types() -> None:
    """https://github.com/spec-first/connexion/issues/1956: see Operation.checked."""
    both = {name: {"schema": {"type": "object"}} for name in ("json", "problem+json")}
    content = {f"application/{name}": value for name, value in both.items()}
    definition = echo_with(["responses", "200", "content"], content)

    with serving(stock_app(definition, HANDLERS)) as client:
        assert client.post("/echo", json={}).status_code == 500


def test_connexion_treats_chunked_body_as_missing() -> None:
    """https://github.com/spec-first/connexion/issues/2020: see agent_api/contract/body.py, read."""
    with serving(stock_app(contract(ECHO), HANDLERS)) as client:
        headers = {"Content-Type": "application/json"}
        response = client.post("/echo", content=iter([b"{}"]), headers=headers)

    assert response.status_code == 400
    assert "RequestBody is required" in response.text


def test_connexion_does_not_serve_recursive_contract() -> None:
    """https://github.com/spec-first/connexion/issues/2095: see agent_api/pages/docs.py."""
    definition = contract(ECHO)
    things = {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    definition["components"]["schemas"]["Thing"]["properties"]["things"] = things

    with serving(stock_app(definition, HANDLERS)) as client:
        assert client.get("/openapi.json").status_code == 500


def test_connexion_does_not_check_format_uuid() -> None:
    """See agent_api/contract/schema.py, Schema."""
    schema = {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}}
    definition = echo_with(["requestBody", "content", "application/json", "schema"], schema)

    with serving(stock_app(definition, HANDLERS)) as client:
        assert client.post("/echo", json={"id": "not-a-uuid"}).status_code == 200


def test_connexion_ignores_nullable_beside_all_of() -> None:
    """See agent_api/contract/schema.py, to_json_schema."""
    with serving(stock_app(contract(ECHO), HANDLERS)) as client:
        response = client.post("/echo", json={"name": None})

    assert response.status_code == 400
    assert "None is not of type 'string'" in json.loads(response.content)["detail"]


def test_connexion_renders_contract_file_as_template(tmp_path: Path) -> None:
    """See agent_api/contract/spec.py, load_contract."""
    definition = echo_with(["description"], "Dear {{name}}!")
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(definition), encoding="utf-8")

    with serving(stock_app(path, HANDLERS)) as client:
        served = client.get("/openapi.json").json()

    assert served["paths"]["/echo"]["post"]["description"] == "Dear !"
