"""A contract with one of everything, and the paths that edits often use."""

import json
from typing import Any

from tests.contract_changes.edits import ref

VALUES: dict[str, Any] = {
    "name": {"type": "string", "minLength": 2, "maxLength": 255, "pattern": "^[a-z]+$"},
    "note": {"type": "string", "nullable": True, "description": "Any words."},
    "day": {"type": "string", "format": "date"},
    "size": {"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 2},
    "ratio": {"type": "number", "minimum": 0},
    "color": {"type": "string", "enum": ["red", "green"]},
    "mood": {"type": "string", "nullable": True, "enum": ["good", "bad", None]},
    "marks": {
        "type": "array",
        "minItems": 1,
        "maxItems": 10,
        "uniqueItems": True,
        "items": {"type": "string", "maxLength": 20},
    },
    "list": {"type": "array", "items": {"type": "integer"}},
    "open": {"type": "object", "minProperties": 1, "maxProperties": 10},
    "kept": {"type": "object", "additionalProperties": True},
    "closed": {"type": "object", "additionalProperties": False, "properties": {"x": {}}},
    "map": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 9}},
    "any": {"description": "Any JSON value."},
    "shape": {
        "anyOf": [
            {"$ref": "#/components/schemas/Round"},
            {"type": "string", "maxLength": 9},
            {"type": "boolean"},
        ]
    },
    "maybe": {"anyOf": [{"type": "integer"}, {"type": "string", "nullable": True, "enum": [None]}]},
    "one": {"oneOf": [{"type": "string", "maxLength": 9}, {"type": "integer"}]},
    "other": {"not": {"type": "string", "maxLength": 9}},
    "merged": {
        "allOf": [
            {"$ref": "#/components/schemas/Round"},
            {
                "type": "object",
                "properties": {"y": {"type": "integer", "maximum": 9}},
                "required": ["y"],
            },
        ]
    },
    "nullable": {"type": "string", "nullable": True, "allOf": [ref("schemas", "Maybe")]},
    "wrapped": {"description": "Round.", "allOf": [{"$ref": "#/components/schemas/Round"}]},
}
"""One of every schema keyword; requests and responses use the same."""

BASE: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Things", "version": "1.0.0", "description": "Keeps things."},
    "servers": [{"url": "https://things.example.com"}],
    "security": [{"token": ["read"]}],
    "tags": [{"name": "things", "description": "Things."}],
    "paths": {
        "/things": {
            "get": {
                "operationId": "list_things",
                "tags": ["things"],
                "summary": "List things",
                "parameters": [
                    {
                        "name": "limit",
                        "in": "query",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
                    },
                    {
                        "name": "color",
                        "in": "query",
                        "required": True,
                        "schema": {"type": "string", "enum": ["red", "green"]},
                    },
                    {
                        "name": "ids",
                        "in": "query",
                        "schema": {"type": "array", "items": {"type": "string"}},
                    },
                    ref("parameters", "Trace"),
                ],
                "responses": {
                    "200": {
                        "description": "Things.",
                        "headers": {
                            "X-Total": {"required": True, "schema": {"type": "integer"}},
                            "X-Hint": {"schema": {"type": "string", "maxLength": 9}},
                        },
                        "content": {
                            "application/json": {
                                "schema": {"type": "array", "items": ref("schemas", "Thing")}
                            },
                            "text/csv": {"schema": {"type": "string"}},
                        },
                    },
                    "404": ref("responses", "NotFound"),
                },
            },
            "post": {
                "operationId": "create_thing",
                "tags": ["things"],
                "summary": "Create a thing",
                "security": [{"token": ["read", "write"]}],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": ref("schemas", "Draft"),
                            "examples": {"one": {"value": {"name": "a"}}},
                        },
                        "text/plain": {"schema": {"type": "string", "maxLength": 9}},
                    }
                },
                "responses": {
                    "201": {
                        "description": "The thing.",
                        "content": {"application/json": {"schema": ref("schemas", "Thing")}},
                        "links": {"get": {"operationId": "list_things"}},
                    },
                    "404": ref("responses", "NotFound"),
                },
            },
        },
        "/things/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "delete": {
                "operationId": "delete_thing",
                "tags": ["things"],
                "responses": {"204": {"description": "It is gone."}},
            },
        },
        "/health": {
            "get": {
                "operationId": "get_health",
                "tags": ["things"],
                "security": [],
                "responses": {"200": {"description": "It lives."}},
            }
        },
    },
    "components": {
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "A token."},
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
        },
        "parameters": {
            "Trace": {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
        },
        "responses": {
            "NotFound": {
                "description": "No such thing.",
                "content": {
                    "application/problem+json": {
                        "schema": {
                            "type": "object",
                            "required": ["title"],
                            "properties": {"title": {"type": "string"}},
                        }
                    }
                },
            }
        },
        "schemas": {
            "Draft": {"type": "object", "required": ["name", "day"], "properties": VALUES},
            "Thing": {"type": "object", "required": ["name", "day"], "properties": VALUES},
            "Maybe": {"type": "string", "nullable": True},
            "Round": {
                "type": "object",
                "required": ["r"],
                "properties": {
                    "r": {"type": "integer"},
                    "next": ref("schemas", "Round"),
                },
            },
        },
    },
}

BASE = json.loads(json.dumps(BASE))  # Draft and Thing no longer share objects

LIST, CREATE = "paths /things get", "paths /things post"
LIMIT, COLOR, IDS = (f"{LIST} parameters {index}" for index in range(3))
OK = f"{LIST} responses 200"
RESPONSE = {"description": "It."}
