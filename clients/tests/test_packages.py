"""What the generated packages say of themselves."""

import importlib.metadata
import json

import agent_api_client.models
import attrs

from clients.tests.places import FREE, ROOT
from tests.contract import CONTRACT


def test_clients_have_the_version_of_the_contract() -> None:
    package = json.loads((ROOT / "clients" / "typescript" / "package.json").read_text())

    version = CONTRACT["info"]["version"]
    assert package["version"] == importlib.metadata.version("agent-api-client") == version


def test_python_types_are_as_exact_as_can_be() -> None:
    models = [getattr(agent_api_client.models, name) for name in agent_api_client.models.__all__]
    fields = [field for model in models if attrs.has(model) for field in attrs.fields(model)]

    vague = {field.name.strip("_") for field in fields if "Any" in str(field.type)}
    assert len(fields) > 100
    assert vague == FREE | {"additional_properties"}
