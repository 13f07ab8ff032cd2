"""Accepts JSON text that keeps a schema, in half the time that reading and validating it take.

msgspec checks the types and bounds of a text while it parses it. What it cannot check in the way
of JSON Schema is gathered from the values that it makes, and checked then. A "yes" is the schema's
own; a "no" only says that the quick way did not lead there, and is no verdict.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

Json = Mapping[str, Any]
Found = list[list[Any]]
Gather = Callable[[Iterable[Any], Found], None]
"""Sorts what is in the values of one place into lists, one for each check."""

MOMENT_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
_MOMENT = b"0000-00-00T00:00:00.000000Z"
_UUID = b"00000000-0000-0000-0000-000000000000"
_HEX_AS_ZERO = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
_DIGIT_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_PLAIN_NAME = re.compile(r"\w+", re.ASCII)
_EXACT = 2**53 - 1
_NO_RULE = frozenset({None, "int32", "int64", "float", "double"})  # formats of numbers


class Part(NamedTuple):
    """A schema's part: what msgspec decodes it as, and what gathers what is still to be checked."""

    kind: Any
    gather: Gather | None = None
    takes_null: bool = False
    """Null is right and needs no check; elsewhere msgspec refuses it, or the check sees it."""


class QuickCheck:
    """One schema's; safe to use from many threads."""

    def __init__(self, schema: Json, validator: Callable[[Json], Callable[[Any], bool]]) -> None:
        """Compile a JSON Schema; `validator` makes what decides on a part that msgspec cannot."""
        self._validator = validator
        self._checks: list[Callable[[list[Any]], bool]] = [_are_uuids, _are_moments]
        self._root = self._compile(schema)
        self._decode = msgspec.json.Decoder(self._root.kind).decode

    def accepts(self, text: bytes) -> bool:
        """Tell whether the text, which is UTF-8, surely keeps the schema."""
        try:
            value = self._decode(text)
            if self._root.gather is None or (value is None and self._root.takes_null):
                return True
            found: Found = [[] for _ in self._checks]
            self._root.gather([value], found)
            return all(check(values) for check, values in zip(self._checks, found, strict=True))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False

    def _compile(self, schema: Json) -> Part:
        schema = _merged(schema)
        if not schema:
            return Part(Any)
        types = schema.get("type", [])
        names = {types} if isinstance(types, str) else set(types)
        takes_null = "null" in names
        names.discard("null")
        if len(names) == 1 and (not takes_null or None in schema.get("enum", [None])):
            part: Part | None = getattr(self, f"_{names.pop()}")(schema)
            if part is not None:
                return Part(part.kind | None, part.gather, True) if takes_null else part
        is_valid = self._validator(schema)
        self._checks.append(lambda values: all(map(is_valid, values)))
        return Part(Any, _leaf(len(self._checks) - 1), is_valid(None))

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
        if not all(map(_PLAIN_NAME.fullmatch, properties)):  # msgspec takes no other
            return None
        parts = {f"_{n}": self._compile(member) for n, member in enumerate(properties.values())}
        names = dict(zip(parts, properties, strict=True))
        fields: list[Any] = []
        gatherers: list[Gather] = []
        for attribute, part in parts.items():
            if is_required := names[attribute] in required:
                fields.append((attribute, part.kind))
            else:
                fields.append((attribute, _or_absent(part.kind), msgspec.UNSET))
            if part.gather is not None:
                gatherers.append(_of_member(attribute, part, is_required=is_required))
        # gc=False: they form no cycles, and the garbage collector need not follow them.
        kind = msgspec.defstruct("Object", fields, kw_only=True, gc=False, rename=names)
        return Part(kind, _together(gatherers) if gatherers else None)

    def _array(self, schema: Json) -> Part | None:
        if not _has_only(schema, "items", "minItems", "maxItems"):
            return None
        item = self._compile(schema.get("items", {}))
        bounds = msgspec.Meta(min_length=schema.get("minItems"), max_length=schema.get("maxItems"))
        return Part(Annotated[list[item.kind], bounds], _of_items(item))  # type: ignore[name-defined]  # a type made at run time

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
                length, gather = len(_UUID), _leaf(0)
            case "date-time", pattern if pattern == MOMENT_PATTERN:
                length, gather = len(_MOMENT), _leaf(1)
            case _:
                return None
        if least not in (None, length) or most not in (None, length):
            return None
        # Each has its length, so that many can be looked at as one text.
        return Part(Annotated[str, msgspec.Meta(min_length=length, max_length=length)], gather)

    def _integer(self, schema: Json) -> Part | None:
        return _number(int, schema)

    def _number(self, schema: Json) -> Part | None:
        return _number(float, schema)

    def _boolean(self, schema: Json) -> Part | None:
        return Part(bool) if _has_only(schema) else None


def _merged(schema: Json) -> Json:
    """Return objects that are one by allOf as one, and a schema that is alone in one as itself."""
    members = [_merged(member) for member in schema.get("allOf", ())]
    if not members or not _has_only(schema, "allOf"):
        return schema
    if len(members) == 1 and schema.get("type") in (None, members[0].get("type")):
        return members[0]
    if schema.get("type") not in (None, "object"):
        return schema
    properties: dict[str, Any] = {}
    required: list[str] = []
    for member in members:
        named = member.get("properties", {})
        if member.get("type") != "object" or named.keys() & properties.keys():
            return schema
        if not _has_only(member, "properties", "required"):
            return schema
        properties |= named
        required += member.get("required", ())
    return {"type": "object", "properties": properties, "required": required}


def _has_only(schema: Json, *keywords: str) -> bool:
    return schema.keys() <= {"type", *keywords}


def _number(kind: type, schema: Json) -> Part | None:
    if not _has_only(schema, "minimum", "maximum", "format"):
        return None
    for name in ("minimum", "maximum"):
        bound = schema.get(name, 0)
        # Beyond that msgspec compares an integer as the double next to it, or not at all.
        if abs(bound) > _EXACT or bound != kind(bound):
            return None
    if schema.get("format") not in _NO_RULE:
        return None
    return Part(Annotated[kind, msgspec.Meta(ge=schema.get("minimum"), le=schema.get("maximum"))])


def _or_absent(kind: Any) -> Any:
    return kind if kind is Any else kind | msgspec.UnsetType


def _leaf(number: int) -> Gather:
    def gather(values: Iterable[Any], found: Found) -> None:
        found[number] += values

    return gather


def _of_member(attribute: str, part: Part, *, is_required: bool) -> Gather:
    get, gather = attrgetter(attribute), part.gather
    assert gather is not None
    ignored = ({None} if part.takes_null else set()) | (set() if is_required else {msgspec.UNSET})
    if not ignored:
        return lambda values, found: gather(map(get, values), found)

    def gather_present(values: Iterable[Any], found: Found) -> None:
        gather([v for v in map(get, values) if v is not None and v is not msgspec.UNSET], found)

    def gather_all(values: Iterable[Any], found: Found) -> None:
        gather([v for v in map(get, values) if v is not msgspec.UNSET], found)

    return gather_present if None in ignored else gather_all


def _together(gatherers: list[Gather]) -> Gather:
    def gather(values: Iterable[Any], found: Found) -> None:
        rows = list(values)
        for gather_member in gatherers:
            gather_member(rows, found)

    return gather


def _of_items(item: Part) -> Gather | None:
    gather = item.gather
    if gather is None:
        return None

    def gather_items(values: Iterable[Any], found: Found) -> None:
        items = chain.from_iterable(values)
        gather((i for i in items if i is not None) if item.takes_null else items, found)

    return gather_items


def _are_uuids(texts: list[str]) -> bool:
    """Tell whether all are in the form of RFC 9562 section 4."""
    return "".join(texts).encode().translate(_HEX_AS_ZERO) == _UUID * len(texts)


def _are_moments(texts: list[str]) -> bool:
    """Tell whether all are of MOMENT_PATTERN; raises ValueError for one that there is not."""
    joined = "".join(texts).encode()
    if joined.translate(_DIGIT_AS_ZERO) != _MOMENT * len(texts):
        return False
    list(map(datetime.fromisoformat, texts))
    return b"T24" not in joined  # to newer Pythons the next day's midnight
