"""Converts query, path and header parameters to arguments of the right type."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from agent_api.contract.schema import Schema, to_pointer
from agent_api.http import etag
from agent_api.http.problems import ValidationFailed, field_error

MAX_QUERY_FIELDS = 100
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_BOOLEAN = {"true": True, "false": False}
_TYPES = frozenset({"string", "integer", "boolean"})
_NOT_UTF_8 = "must be percent-encoded UTF-8"
_PLACES = frozenset({"query", "path", "header"})


class Parameter:
    """A compiled parameter of an operation."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        schema = definition["schema"]
        self.name: str = definition["name"]
        self.place: str = definition["in"]
        self.argument = self.name.lower().replace("-", "_")
        self.type: str = schema.get("type", "")
        self.required: bool = definition.get("required", False)
        self.default = schema.get("default")
        if self.place not in _PLACES or self.type not in _TYPES:
            raise ValueError(
                f"parameter {self.name} must be {' or '.join(sorted(_TYPES))} "
                f"in {' or '.join(sorted(_PLACES))}"
            )
        self._schema = Schema(schema)
        self.is_id = schema.get("format") == "uuid"
        # Secrets are only hashed. Do not reveal which texts could be a secret.
        self.is_secret = schema.get("format") == "password"
        self._is_tag_list = self.place == "header" and self.name in etag.TAG_LISTS
        # Some browsers' EventSource sends an empty Last-Event-ID before it has received an id.
        self._ignores_empty = self.place == "header" and self.type == "integer"

    def read(self, values: Sequence[str], errors: list[dict[str, str]]) -> Any:
        """Return the argument, or its default without `values`. Append to `errors`."""
        if not values:
            if self.required:
                errors.append(self._error("is required"))
            return self.default
        if self._is_tag_list:
            values = [", ".join(values).strip(" \t")]
        if self._ignores_empty and values == [""]:
            return self.default
        if len(values) > 1:
            errors.append(self._error("must not be repeated"))
            return None
        value = self._typed(values[0])
        if value is None:
            errors.append(self._error(f"must be of type {self.type}"))
        elif isinstance(value, str) and "\x00" in value and not self.is_secret:
            errors.append(self._error("must not contain the NUL character"))
        elif not self._schema.is_valid(value):
            details = [error["detail"] for error in self._schema.errors(value, self.place)]
            if self._is_tag_list:  # the pattern is too long to help
                details = ["must be * or a short list of ETags in double quotes"]
            errors.extend(self._error(detail) for detail in details)
        elif self.is_id:
            return value.lower()  # equal UUIDs are equal strings (RFC 9562 section 4)
        return value

    def _typed(self, text: str) -> Any:
        if self.type == "integer":
            return int(text) if _INTEGER.fullmatch(text) else None
        return _BOOLEAN.get(text) if self.type == "boolean" else text

    def _error(self, detail: str) -> dict[str, str]:
        return field_error(self.place, to_pointer([self.name]), detail)


def parse_query(query: bytes) -> dict[str, list[str]]:
    """Return the values of each field of a query string, or raise ValidationFailed."""
    if not query:
        return {}
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except UnicodeDecodeError as error:
        raise _error_in("query", _NOT_UTF_8) from error
    except ValueError as error:
        raise _error_in("query", f"must have at most {MAX_QUERY_FIELDS} fields") from error
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def check_path(path: str, raw_path: bytes) -> None:
    """Raise ValidationFailed if the path is not UTF-8: uvicorn has replaced the wrong bytes."""
    if "\N{REPLACEMENT CHARACTER}" in path:
        try:
            unquote_to_bytes(raw_path).decode()
        except UnicodeDecodeError as error:
            raise _error_in("path", _NOT_UTF_8) from error


def _error_in(place: str, detail: str) -> ValidationFailed:
    return ValidationFailed([field_error(place, "", detail)])
