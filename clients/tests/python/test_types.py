"""The types of the generated Python client."""

import agent_api_client.models
import attrs

from clients.tests.places import FREE, MIXED


def test_python_types_are_as_exact_as_can_be() -> None:
    models = [getattr(agent_api_client.models, name) for name in agent_api_client.models.__all__]
    fields = [field for model in models if attrs.has(model) for field in attrs.fields(model)]

    vague = {field.name.strip("_") for field in fields if "Any" in str(field.type)}
    assert len(fields) > 100
    assert vague == FREE | MIXED | {"additional_properties"}
