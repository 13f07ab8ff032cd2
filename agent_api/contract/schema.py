"""Compiles OpenAPI 3.0 schemas into JSON Schema validators, and phrases errors."""

from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from agent_api.contract.quick_check import QuickCheck
from agent_api.http.problems import field_error

MAX_ERRORS = 50
MIN_BYTES_FOR_QUICK_CHECK = 2048
"""Smaller texts skip the quick check, which has a higher fixed cost."""
_ANNOTATIONS = frozenset(
    {"nullable", "example", "default", "description", "title", "deprecated", "readOnly"}
    | {"writeOnly", "discriminator", "xml", "externalDocs"}
)
# Keywords whose value is a schema, a list of schemas, or a mapping of names to schemas.
_ONE = frozenset({"items", "not", "additionalProperties"})
_MANY = frozenset({"allOf", "anyOf", "oneOf"})
_NAMED = frozenset({"properties", "schemas"})

_DETAILS = {
    "required": "is required",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have at least {limit} items",
    "maxItems": "must have at most {limit} items",
    "minProperties": "must have at least {limit} properties",
    "maxProperties": "must have at most {limit} properties",
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be greater than {limit}",
    "exclusiveMaximum": "must be less than {limit}",
    "format": "must be a {format}",
    "pattern": "must match {pattern}",
    "anyOf": "must match one of the alternatives in the contract",
    "oneOf": "must match one of the alternatives in the contract",
}


class _Translation:
    """Translates OpenAPI 3.0.3 schemas (section 4.7.24) to JSON Schema 2020-12.

    `nullable` allows null next to `type`, `enum`, `allOf` and references.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._open: set[str] = set()
        self._recursive: set[str] = set()

    def translate(self, schema: Any) -> Any:
        """Return the JSON Schema of `schema`.

        Connexion resolves a recursive schema to an object that contains itself. Such a schema
        becomes a definition and references to it.
        """
        if not isinstance(schema, Mapping):
            return schema
        name = str(id(schema))
        reference = {"$ref": f"#/$defs/{name}"}
        if name in self._open or name in self.definitions:
            self._recursive.add(name)
            return reference
        self._open.add(name)
        result = self._convert(schema)
        self._open.remove(name)
        if name not in self._recursive:
            return result
        self.definitions[name] = result
        return reference

    def _convert(self, schema: Mapping[str, Any]) -> Any:
        # A nullable $ref becomes `nullable` next to the referenced schema, which is faster to check
        # and gives errors that point into the value.
        if schema.get("nullable") and _only_wraps_all_of(schema):
            return self._convert({**schema["allOf"][0], "nullable": True})
        schema = _with_any_of(schema)
        result: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _ONE:
                result[key] = self.translate(value)
            elif key in _MANY:
                result[key] = [self.translate(item) for item in value]
            elif key in _NAMED:
                result[key] = {name: self.translate(item) for name, item in value.items()}
            elif key not in _ANNOTATIONS:
                result[key] = value
        for bound in ("minimum", "maximum"):
            exclusive = f"exclusive{bound.capitalize()}"
            if result.pop(exclusive, False):  # a flag next to the bound, as in draft 4
                result[exclusive] = result.pop(bound)
        if not schema.get("nullable"):
            return result
        if "enum" in result and None not in result["enum"]:
            result["enum"] = [*result["enum"], None]
        if "type" in result and not ({"$ref"} | _MANY) & result.keys():
            result["type"] = [result["type"], "null"]
            return result
        return {"anyOf": [result, {"type": "null"}]}


def _only_wraps_all_of(schema: Mapping[str, Any]) -> bool:
    """Tell whether `schema` adds nothing to the only schema in its allOf."""
    if schema.keys() - _ANNOTATIONS - {"type"} != {"allOf"} or len(schema["allOf"]) != 1:
        return False
    (member,) = schema["allOf"]
    return "$ref" not in member and schema.get("type") in (None, member.get("type"))


def _with_any_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write `not: {allOf: [{not: A}, {not: B}]}` as anyOf, which is faster and has clear errors.

    Both mean the same. The contract has the other form because client generators misread anyOf.
    """
    match schema.get("not"):
        case {"allOf": [*members], **rest} if not rest and "anyOf" not in schema:
            if all(member.keys() == {"not"} for member in members):
                others = {key: value for key, value in schema.items() if key != "not"}
                return {**others, "anyOf": [member["not"] for member in members]}
    return schema


class Schema:
    """A compiled schema. Safe to use from many threads."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        translation = _Translation()
        self._translated = translation.translate(schema)
        self._definitions = translation.definitions
        self._validator = self._compile(self._translated)

    def _compile(self, part: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(
            {**part, "$defs": self._definitions}, validate_formats=True, mask="the value"
        )

    @cached_property
    def _quick(self) -> QuickCheck:
        return QuickCheck(self._translated, lambda part: self._compile(part).is_valid)

    def properties_with_format(self, name: str) -> list[str]:
        """Return the properties of an object that are strings of this format, or arrays of them."""
        properties = self._translated.get("properties", {})
        return [
            key
            for key, schema in properties.items()
            if name in (schema.get("format"), schema.get("items", {}).get("format"))
        ]

    def is_valid_json(self, text: bytes) -> bool:
        """Tell whether a JSON text is valid. Raises ValueError if it is not JSON."""
        if len(text) > MIN_BYTES_FOR_QUICK_CHECK and self._quick.accepts(text):
            return True
        return self.is_valid(orjson.loads(text))

    def is_valid(self, instance: Any) -> bool:
        """Tell whether a value, as parsed from JSON, is valid."""
        return self._validator.is_valid(instance)

    def first_error(self, instance: Any, place: str) -> list[dict[str, str]]:
        """Return the first error only, which is fast for any size of `instance`."""
        try:
            self._validator.validate(instance)
        except jsonschema_rs.ValidationError as error:
            return [field_error(place, _pointer(error), _detail(error))]
        return []

    def errors(self, instance: Any, place: str) -> list[dict[str, str]]:
        """Return up to MAX_ERRORS errors, which do not quote values of `instance`.

        Slow for large arrays, because the validator checks every item first.
        """
        errors = islice(self._validator.iter_errors(instance), MAX_ERRORS)
        return [field_error(place, _pointer(error), _detail(error)) for error in errors]


def to_pointer(path: list[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of `path`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _pointer(error: jsonschema_rs.ValidationError) -> str:
    """Return the pointer to the wrong value, or to the missing property."""
    path = list(error.instance_path)
    if error.kind.name == "required":
        path.append(error.kind.as_dict()["property"])
    return to_pointer(path)


def _detail(error: jsonschema_rs.ValidationError) -> str:
    """Say what to send, in terms of the API rather than JSON Schema keywords."""
    rule = error.kind.as_dict()
    match error.kind.name:
        case "type":
            types = rule["types"]
            return f"must be of type {types if isinstance(types, str) else ' or '.join(types)}"
        case "enum":
            return f"must be one of: {', '.join(str(o) for o in rule['options'] if o is not None)}"
        case name if name in _DETAILS:
            return _DETAILS[name].format_map(rule)
        case _:
            return error.message
