"""The OpenAPI document of the HTTP API.

The shape of a usage event and its limits come from the code that checks them; the rest is written by
hand, and held to the running server by generated requests (tests/http/test_openapi.py).
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from engine.adapters.cloudevents import SPEC_VERSION, USAGE_TYPE
from engine.http.problem import CODES, MEDIA_TYPE
from engine.http.reading import (
    FORMAT_HEADER,
    MAX_RECORDS,
    MEDIA_TYPES,
    OF_BODY,
    REJECTED,
    REJECTED_HEADER,
)
from engine.rating.usage import MAX_QUANTITY, MAX_TEXT, MONEY_KINDS, REQUIRED_TEXTS
from schemas.json_form import json_schema
from schemas.loader import latest

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_DECIMAL = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,12})?$"}
_INSTANT = {"type": "string", "format": "date-time"}
_OPTIONAL_INSTANT = {"type": ["string", "null"], "format": "date-time"}
_FLAG = {"type": "boolean"}


def _object(properties: Mapping[str, Any], description: str = "") -> dict[str, Any]:
    """Return the schema of an object that always has all of these."""
    said = {"description": description} if description else {}
    return {"type": "object", **said, "properties": properties, "required": list(properties)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _usage_event() -> dict[str, Any]:
    """Return the schema of native usage JSON, with the limits that are checked."""
    schema = json_schema(latest("usage_event").declared)
    schema.pop("$schema", None)
    for name, field in schema["properties"].items():
        if field == {**field, "type": "string"} and "format" not in field and "enum" not in field:
            least = {"minLength": 1} if name in REQUIRED_TEXTS else {}
            field.update({"maxLength": MAX_TEXT, **least})
    quantities = schema["properties"]["quantities"]
    for kind, field in quantities["properties"].items():
        if kind not in MONEY_KINDS:
            field.update({"minimum": 0, "maximum": MAX_QUANTITY})
    quantities.pop("required", None)
    quantities["additionalProperties"] = False
    schema["required"] = ["event_id", "occurred_at"]
    schema["description"] += (
        " `source` may be left to the key, and `account_id` to a key of one account. A void needs"
        " neither provider nor model nor quantities; all else does."
    )
    return schema


_RESULT = {
    "type": "object",
    "description": "What became of a record; a record of a gateway may have several events.",
    "properties": {
        "index": {**_COUNT, "description": "The record's place in the body, from 0."},
        "status": {"enum": ["accepted", "rejected", "not_charged"]},
        "event_id": _TEXT,
        "account_id": _TEXT,
        "partition": _COUNT,
        "code": {**_TEXT, "description": "Why it was rejected (docs/reference/rejections.md)."},
        "explanation": {**_TEXT, "description": "Place, value, and what was expected."},
        "reason": {**_TEXT, "description": "Why there is nothing to charge."},
    },
    "required": ["index", "status"],
}
_COUNTS = {
    "accepted": _COUNT,
    "rejected": _COUNT,
    "not_charged": _COUNT,
    "results": {"type": "array", "items": _ref("Result")},
}
_SCHEMAS: dict[str, Any] = {
    "UsageEvent": _usage_event(),
    "CloudEvent": {
        "type": "object",
        "properties": {
            "specversion": {"const": SPEC_VERSION},
            "type": {**_TEXT, "minLength": 1, "description": f"{USAGE_TYPE}; see `format`."},
            "id": {**_TEXT, "minLength": 1},
            "source": {**_TEXT, "minLength": 1},
            "subject": _TEXT,
            "time": _INSTANT,
            "datacontenttype": _TEXT,
            "data": {"description": "Of our type: a usage event, less what stands here."},
        },
        "required": ["specversion", "type", "id", "source"],
    },
    "GatewayRecord": {
        "type": "object",
        "description": "A record of a gateway or provider, of the format that `format` names.",
    },
    "Result": _RESULT,
    "Outcome": _object(_COUNTS, "What became of a body, record by record."),
    "OtlpAnswer": {
        "type": "object",
        "description": "What became of an OTLP export; `partialSuccess` is there if some was rejected.",
        "properties": {
            "accepted": _COUNT,
            "rejected": _COUNT,
            "not_charged": _COUNT,
            "partialSuccess": {
                "type": "object",
                "properties": {
                    "rejectedSpans": _COUNT,
                    "rejectedLogRecords": _COUNT,
                    "errorMessage": _TEXT,
                },
                "required": ["errorMessage"],
            },
        },
        "required": ["accepted", "rejected", "not_charged"],
    },
    "Problem": {
        **_object(
            {
                "type": {**_TEXT, "format": "uri"},
                "title": _TEXT,
                "status": _COUNT,
                "code": {"enum": sorted(CODES)},
                "detail": _TEXT,
            }
        ),
        "description": "An error (RFC 9457). With code records_..., also the members of Outcome or OtlpAnswer.",
    },
    "Balance": _object(
        {
            "account_id": _TEXT,
            "currency": _TEXT,
            "tariff_id": _TEXT,
            "due": _DECIMAL,
            "exhausted": {**_FLAG, "description": "Something was prepaid, nothing remains."},
            "limited": {**_FLAG, "description": "A limit of the whole account is reached."},
            "limited_subjects": {"type": "array", "items": _TEXT},
            "buckets": {
                "type": "array",
                "items": _object(
                    {
                        "bucket_id": _TEXT,
                        "grant_id": _TEXT,
                        "unit": _TEXT,
                        "granted": _DECIMAL,
                        "remaining": _DECIMAL,
                        "valid_from": _INSTANT,
                        "valid_to": _OPTIONAL_INSTANT,
                        "runs_out_at": _OPTIONAL_INSTANT,
                    }
                ),
            },
            "limits": {
                "type": "array",
                "items": _object(
                    {
                        "limit_id": _TEXT,
                        "measure": _TEXT,
                        "scope": _TEXT,
                        "subject": _TEXT,
                        "period": _TEXT,
                        "used": _DECIMAL,
                        "amount": _DECIMAL,
                        "reached": _FLAG,
                        "resets_at": _INSTANT,
                    }
                ),
            },
            "limits_left_out": _COUNT,
            "suspended_lines": _COUNT,
            "sequence": _COUNT,
            "as_of": {**_INSTANT, "description": "Time of the last thing this knows of."},
            "projected_at": {**_INSTANT, "description": "When it was written to Kafka."},
            "age_seconds": {
                "type": "number",
                "minimum": 0,
                "description": "How long ago this server last had all balances that Kafka held.",
            },
        }
    ),
    "Health": _object({"status": {"enum": ["ok", "starting"]}}),
}


def _problems(*statuses: int) -> dict[str, Any]:
    """Return the responses of these statuses, each with the codes that it may have."""
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    codes = ", ".join(sorted(code for code, known in CODES.items() if known == status))
    response: dict[str, Any] = {
        "description": f"Codes: {codes}",
        "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
    }
    header = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After"}.get(status)
    if header:
        response["headers"] = {header: {"schema": _TEXT, "required": True}}
    return response


def _answer(description: str, *schemas: str) -> dict[str, Any]:
    refs = [_ref(schema) for schema in schemas]
    return {
        "description": description,
        "content": {"application/json": {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}},
    }


_RECORDS = {
    "type": "array",
    "items": {},
    "minItems": 1,
    "description": f"Records, each judged on its own: {MAX_RECORDS} at most (else 413).",
}
_ANY_BODY = {
    "anyOf": [
        _ref("UsageEvent"),
        _ref("CloudEvent"),
        _ref("GatewayRecord"),
        _RECORDS,
    ]
}
_BODIES: dict[str, Any] = {
    "application/json": _ANY_BODY,
    "application/cloudevents+json": _ref("CloudEvent"),
    "application/cloudevents-batch+json": _RECORDS,
}
_EXAMPLE = {
    "account_id": "acme",
    "event_id": "call-1",
    "occurred_at": "2026-11-24T09:15:02.120000Z",
    "provider": "openai",
    "model": "gpt-4o",
    "quantities": {"input": 1200, "cache_read": 300, "output": 85},
}
_LINES = {"type": "string", "description": "One JSON object a line."}


def _example(media_type: str) -> dict[str, Any]:
    return {"example": _EXAMPLE} if media_type == "application/json" else {}


_USAGE = {
    "operationId": "sendUsage",
    "summary": "Take usage in; answered once Kafka has acknowledged all that is accepted.",
    "parameters": [
        {
            "name": "format",
            "in": "query",
            "description": "What the records are; said by the media type if left out.",
            "schema": {"enum": list(OF_BODY)},
        },
        {
            "name": FORMAT_HEADER,
            "in": "header",
            "description": "As the query's format, which goes before.",
            "schema": {"enum": list(OF_BODY)},
        },
        {
            "name": "rejected",
            "in": "query",
            "description": "`log`: a rejected record is no error; it is told in the server's log.",
            "schema": {"enum": list(REJECTED)},
        },
        {
            "name": REJECTED_HEADER,
            "in": "header",
            "description": "As the query's rejected, which goes before.",
            "schema": {"enum": list(REJECTED)},
        },
        {
            "name": "account_id",
            "in": "query",
            "description": "Whose usage it is: of a gateway's records for all, else where none is said.",
            "schema": {"type": "string", "maxLength": MAX_TEXT},
        },
        {
            "name": "provider",
            "in": "query",
            "description": "Who served the calls of a gateway's records.",
            "schema": {"type": "string", "maxLength": MAX_TEXT},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": _BODIES.get(media_type, _LINES), **_example(media_type)}
            for media_type in MEDIA_TYPES
        },
    },
    "responses": {
        "200": _answer(
            "With `rejected=log`: nothing was accepted; see each result.", "Outcome", "OtlpAnswer"
        ),
        "202": _answer(
            "Accepted records are in Kafka; see each record's result.", "Outcome", "OtlpAnswer"
        ),
        **_problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503),
    },
}
_BALANCE = {
    "operationId": "readBalance",
    "summary": "Tell what an account may still use, from memory.",
    "parameters": [
        {
            "name": "account_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
            "example": "acme",
        }
    ],
    "responses": {
        "200": _answer("The newest balance.", "Balance"),
        **_problems(401, 403, 404, 429, 500, 503),
    },
}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Tollbook",
        "version": version("tollbook"),
        "description": "Usage in, balances out. See docs/reference/http.md.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    "paths": {
        "/v1/usage": {"post": _USAGE},
        "/v1/accounts/{account_id}/balance": {"get": _BALANCE},
        "/health": {
            "get": {
                "operationId": "readHealth",
                "summary": "Tell whether this process works.",
                "security": [],
                "responses": {"200": _answer("It works.", "Health"), **_problems(500, 503)},
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "readDocument",
                "summary": "This document.",
                "security": [],
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    **_problems(500),
                },
            }
        },
    },
    "components": {
        "schemas": _SCHEMAS,
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "tollbook-key"},
        },
    },
    "security": [{"bearer": []}, {"key": []}],
}
