"""Accepts valid JSON text in about half the time of parsing and validating it.

msgspec checks types and bounds while it parses. Values that need other checks are collected from
the result and checked together. True is final. False only means that this check cannot tell.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from agent_api.contract import collecting
from agent_api.contract.collecting import Collected, Collector

Json = Mapping[str, Any]

TIMESTAMP_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
_TIMESTAMP = b"0000-00-00T00:00:00.000000Z"
_UUID = b"00000000-0000-0000-0000-000000000000"
_HEX_AS_ZERO = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
_DIGIT_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_PLAIN_NAME = re.compile(r"\w+", re.ASCII)
_MAX_EXACT = 2**53 - 1
_NUMBER_FORMATS = frozenset({None, "int32", "int64", "float", "double"})
"""Formats that jsonschema-rs ignores."""


class Part(NamedTuple):
    """A compiled part of a schema."""

    type: Any
    """The type that msgspec decodes the value as."""
    collect: Collector | None = None
    """Collects what must still be checked; None if msgspec checks everything."""
    takes_null: bool = False
    """Whether null is valid and needs no check. `collect` must not get it then."""


class QuickCheck:
    """The quick check of one schema. Safe to use from many threads."""

    def __init__(self, schema: Json, validator: Callable[[Json], Callable[[Any], bool]]) -> None:
        """Compile a schema. `validator` compiles the parts that msgspec cannot check."""
        self._validator = validator
        self._checks: list[Callable[[list[Any]], bool]] = [_are_uuids, _are_timestamps]
        self._root = self._compile(schema)
        self._decode = msgspec.json.Decoder(self._root.type).decode

    def accepts(self, text: bytes) -> bool:
        """Return True if UTF-8 `text` is certainly valid, and False if unsure."""
        try:
            value = self._decode(text)
            if self._root.collect is None or (value is None and self._root.takes_null):
                return True
            collected: Collected = [[] for _ in self._checks]
            self._root.collect([value], collected)
            return all(check(values) for check, values in zip(self._checks, collected, strict=True))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False

    def _compile(self, schema: Json) -> Part:
        schema = _merge_all_of(schema)
        if not schema:
            return Part(Any)
        types = schema.get("type", [])
        names = {types} if isinstance(types, str) else set(types)
        takes_null = "null" in names
        names.discard("null")
        if len(names) == 1 and (not takes_null or None in schema.get("enum", [None])):
            part: Part | None = getattr(self, f"_{names.pop()}")(schema)
            if part is not None:
                return Part(part.type | None, part.collect, True) if takes_null else part
        is_valid = self._validator(schema)
        self._checks.append(lambda values: all(map(is_valid, values)))
        return Part(Any, collecting.values_for(len(self._checks) - 1), is_valid(None))

    # One method per JSON type. Each returns None for a schema that msgspec cannot express.

    def _object(self, schema: Json) -> Part | None:
        if not _has_only(schema, "properties", "required", "additionalProperties"):
            return None
        if schema.get("additionalProperties", True) is not True:
            return None
        required = frozenset(schema.get("required", ()))
        anything: Json = {}
        properties = {**dict.fromkeys(required, anything), **schema.get("properties", {})}
        if not properties:
            return Part(dict[str, Any])
        if not all(map(_PLAIN_NAME.fullmatch, properties)):  # msgspec refuses other names
            return None
        fields: list[tuple[Any, ...]] = []
        collectors: list[Collector] = []
        names: dict[str, str] = {}
        for number, (name, member) in enumerate(properties.items()):
            attribute, part, is_required = f"_{number}", self._compile(member), name in required
            names[attribute] = name
            fields.append(_field(attribute, part.type, is_required=is_required))
            if part.collect is not None:
                collector = collecting.from_member(
                    attribute, part.collect, is_required=is_required, skip_null=part.takes_null
                )
                collectors.append(collector)
        # gc=False: the objects contain no cycles, so the garbage collector can ignore them.
        struct = msgspec.defstruct("Object", fields, kw_only=True, gc=False, rename=names)
        return Part(struct, collecting.from_members(collectors) if collectors else None)

    def _array(self, schema: Json) -> Part | None:
        if not _has_only(schema, "items", "minItems", "maxItems"):
            return None
        item = self._compile(schema.get("items", {}))
        bounds = msgspec.Meta(min_length=schema.get("minItems"), max_length=schema.get("maxItems"))
        collect = item.collect and collecting.from_items(item.collect, skip_null=item.takes_null)
        return Part(Annotated[list[item.type], bounds], collect)  # type: ignore[name-defined]  # mypy cannot know item.type

    def _string(self, schema: Json) -> Part | None:
        if "enum" in schema:
            values = tuple(value for value in schema["enum"] if value is not None)
            is_plain = _has_only(schema, "enum") and all(isinstance(value, str) for value in values)
            return Part(Literal[values]) if is_plain and values else None
        if not _has_only(schema, "minLength", "maxLength", "format", "pattern"):
            return None
        least, most = schema.get("minLength"), schema.get("maxLength")
        match schema.get("format"), schema.get("pattern"):
            case None, None:
                return Part(Annotated[str, msgspec.Meta(min_length=least, max_length=most)])
            case "uuid", None:
                length, collect = len(_UUID), collecting.values_for(0)
            case "date-time", pattern if pattern == TIMESTAMP_PATTERN:
                length, collect = len(_TIMESTAMP), collecting.values_for(1)
            case _:
                return None
        if least not in (None, length) or most not in (None, length):
            return None
        # The checks join all values, so each value must have the right length.
        return Part(Annotated[str, msgspec.Meta(min_length=length, max_length=length)], collect)

    def _integer(self, schema: Json) -> Part | None:
        return _number(int, schema)

    def _number(self, schema: Json) -> Part | None:
        return _number(float, schema)

    def _boolean(self, schema: Json) -> Part | None:
        return Part(bool) if _has_only(schema) else None


def _merge_all_of(schema: Json) -> Json:
    """Return one object schema for an allOf of objects, if possible, or `schema`."""
    members = [_merge_all_of(member) for member in schema.get("allOf", ())]
    if not members or not _has_only(schema, "allOf"):
        return schema
    if len(members) == 1 and schema.get("type") in (None, members[0].get("type")):
        return members[0]
    if schema.get("type") not in (None, "object"):
        return schema
    properties: dict[str, Any] = {}
    required: list[str] = []
    for member in members:
        added = member.get("properties", {})
        if member.get("type") != "object" or added.keys() & properties.keys():
            return schema
        if not _has_only(member, "properties", "required"):
            return schema
        properties |= added
        required += member.get("required", ())
    return {"type": "object", "properties": properties, "required": required}


def _has_only(schema: Json, *keywords: str) -> bool:
    return schema.keys() <= {"type", *keywords}


def _number(kind: type, schema: Json) -> Part | None:
    if not _has_only(schema, "minimum", "maximum", "format"):
        return None
    for name in ("minimum", "maximum"):
        bound = schema.get(name, 0)
        # msgspec compares larger integers as doubles, or not at all.
        if abs(bound) > _MAX_EXACT or bound != kind(bound):
            return None
    if schema.get("format") not in _NUMBER_FORMATS:
        return None
    return Part(Annotated[kind, msgspec.Meta(ge=schema.get("minimum"), le=schema.get("maximum"))])


def _field(attribute: str, kind: Any, *, is_required: bool) -> tuple[Any, ...]:
    """Return the field of a struct for msgspec.defstruct."""
    if is_required:
        return (attribute, kind)
    return (attribute, kind if kind is Any else kind | msgspec.UnsetType, msgspec.UNSET)


def _are_uuids(texts: list[str]) -> bool:
    """Tell whether all texts of 36 characters have the form of RFC 9562 section 4."""
    return "".join(texts).encode().translate(_HEX_AS_ZERO) == _UUID * len(texts)


def _are_timestamps(texts: list[str]) -> bool:
    """Tell whether all texts match TIMESTAMP_PATTERN.

    Raises ValueError for an impossible date or time.
    """
    joined = "".join(texts).encode()
    if joined.translate(_DIGIT_AS_ZERO) != _TIMESTAMP * len(texts):
        return False
    list(map(datetime.fromisoformat, texts))
    return b"T24" not in joined  # newer Pythons read hour 24 as midnight of the next day
