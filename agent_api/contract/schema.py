"""Compiles OpenAPI 3.0 schemas into JSON Schema validators, and words their errors."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jsonschema_rs
import orjson

from agent_api.contract.quick_check import QuickCheck
from agent_api.http.problems import field_error

MAX_ERRORS = 50
QUICK_BYTES = 2048
"""Of a text that is worth the quick check; the ordinary one has less to set up."""
_ANNOTATIONS = frozenset(
    {"nullable", "example", "default", "description", "title", "deprecated", "readOnly"}
    | {"writeOnly", "discriminator", "xml", "externalDocs"}
)
# The keywords whose value is a schema, a list of schemas, and a mapping of names to schemas.
_ONE = frozenset({"items", "not", "additionalProperties"})
_MANY = frozenset({"allOf", "anyOf", "oneOf"})
_NAMED = frozenset({"properties", "schemas"})

_WORDS = {
    "required": "is required",
    "minLength": "must have {limit} or more characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have {limit} or more items",
    "maxItems": "must have at most {limit} items",
    "minProperties": "must have {limit} or more properties",
    "maxProperties": "must have at most {limit} properties",
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be over {limit}",
    "exclusiveMaximum": "must be under {limit}",
    "format": "must be a {format}",
    "pattern": "must match {pattern}",
    "anyOf": "fits none of the shapes that the contract allows here",
    "oneOf": "fits none of the shapes that the contract allows here",
}


class _Translation:
    """OpenAPI 3.0.3 schema objects (section 4.7.24) as JSON Schema 2020-12.

    `nullable` admits null wherever it stands: beside `type`, `enum`, `allOf` or a reference.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._open: set[str] = set()
        self._recursive: set[str] = set()

    def of(self, schema: Any) -> Any:
        """Return the equivalent of `schema`.

        Connexion resolves a recursive schema into one that contains itself: such a one becomes a
        definition, and a reference to it.
        """
        if not isinstance(schema, Mapping):
            return schema
        name = str(id(schema))
        reference = {"$ref": f"#/$defs/{name}"}
        if name in self._open or name in self.definitions:
            self._recursive.add(name)
            return reference
        self._open.add(name)
        result = self._translated(schema)
        self._open.remove(name)
        if name not in self._recursive:
            return result
        self.definitions[name] = result
        return reference

    def _translated(self, schema: Mapping[str, Any]) -> Any:
        # Both ways to make a $ref nullable become `nullable` beside what it leads to: that is
        # quicker to check, and an error can say what is wrong within it.
        if schema.get("nullable") and _is_wrapper(schema):
            return self._translated({**schema["allOf"][0], "nullable": True})
        if (member := _only_member_beside_null(schema)) is not None:
            return self._translated({**member, "nullable": True})
        result: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _ONE:
                result[key] = self.of(value)
            elif key in _MANY:
                result[key] = [self.of(item) for item in value]
            elif key in _NAMED:
                result[key] = {name: self.of(item) for name, item in value.items()}
            elif key not in _ANNOTATIONS:
                result[key] = value
        for bound in ("minimum", "maximum"):
            exclusive = f"exclusive{bound.capitalize()}"
            if result.pop(exclusive, False):  # draft 4's form: a flag beside the bound
                result[exclusive] = result.pop(bound)
        if not schema.get("nullable"):
            return result
        if "enum" in result and None not in result["enum"]:
            result["enum"] = [*result["enum"], None]
        if "type" in result and not ({"$ref"} | _MANY) & result.keys():
            result["type"] = [result["type"], "null"]
            return result
        return {"anyOf": [result, {"type": "null"}]}


def _is_wrapper(schema: Mapping[str, Any]) -> bool:
    """Tell whether `schema` says no more than the one schema in its allOf."""
    if schema.keys() - _ANNOTATIONS - {"type"} != {"allOf"} or len(schema["allOf"]) != 1:
        return False
    (member,) = schema["allOf"]
    return "$ref" not in member and schema.get("type") in (None, member.get("type"))


def _only_member_beside_null(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the other member of an anyOf of two, one of which is just null."""
    if schema.keys() - _ANNOTATIONS != {"anyOf"} or len(schema["anyOf"]) != 2:
        return None
    others = [m for m in schema["anyOf"] if not (m.get("nullable") and m.get("enum") == [None])]
    return others[0] if len(others) == 1 and "$ref" not in others[0] else None


class Schema:
    """One compiled schema; safe to use from many threads."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        translation = _Translation()
        self._translated = translation.of(schema)
        self._definitions = translation.definitions
        self._validator = self._compile(self._translated)

    def _compile(self, part: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(
            {**part, "$defs": self._definitions}, validate_formats=True, mask="the value"
        )

    @cached_property
    def _quick(self) -> QuickCheck:
        return QuickCheck(self._translated, lambda part: self._compile(part).is_valid)

    def is_valid_json(self, text: bytes) -> bool:
        """Tell whether the value of a JSON text keeps the schema; raises ValueError for no JSON."""
        if len(text) > QUICK_BYTES and self._quick.accepts(text):
            return True
        return self.is_valid(orjson.loads(text))

    def is_valid(self, instance: Any) -> bool:
        """Tell whether `instance` (JSON-ready Python values) keeps the schema."""
        return self._validator.is_valid(instance)

    def first_error(self, instance: Any, place: str) -> list[dict[str, str]]:
        """Return one broken rule, quickly, however large `instance` is."""
        try:
            self._validator.validate(instance)
        except jsonschema_rs.ValidationError as error:
            return [field_error(place, _pointer(error), _detail(error))]
        return []

    def errors(self, instance: Any, place: str) -> list[dict[str, str]]:
        """Return what `instance` breaks, at most MAX_ERRORS rules, worded without its values.

        Every item of a wrong array is looked at first: not for a large `instance`.
        """
        found = []
        for error in self._validator.iter_errors(instance):
            found.append(field_error(place, _pointer(error), _detail(error)))
            if len(found) == MAX_ERRORS:
                break
        return found


def to_pointer(path: list[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of `path`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _pointer(error: jsonschema_rs.ValidationError) -> str:
    """Point at what is wrong; at a missing property as if it were there."""
    path = list(error.instance_path)
    if error.kind.name == "required":
        path.append(error.kind.as_dict()["property"])
    return to_pointer(path)


def _detail(error: jsonschema_rs.ValidationError) -> str:
    """Say what to send instead; the library's words name keywords that a client never sees."""
    rule = error.kind.as_dict()
    match error.kind.name:
        case "type":
            types = rule["types"]
            return f"must be of type {types if isinstance(types, str) else ' or '.join(types)}"
        case "enum":
            return f"must be one of: {', '.join(str(o) for o in rule['options'] if o is not None)}"
        case name if name in _WORDS:
            return _WORDS[name].format_map(rule)
        case _:
            return error.message
