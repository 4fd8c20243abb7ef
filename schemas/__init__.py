"""Schemas: every record of every stream, as data.

`avro/NAME.VERSION.avsc` holds one record each; versions only add fields with defaults and no file
is ever edited once published. The loader knows them by name and by fingerprint. Logical types
(decimal, timestamp-micros) describe the values to others; the engine reads and writes the same
bytes as integers, because a pico integer is exact and a binary float never is.

It is data with a loader, not logic: what a record means is said in `engine.rating`.
"""

from schemas.json_form import json_schema, json_writer, to_json
from schemas.loader import NAMES, RecordSchema, by_fingerprint, latest, versions

__all__ = [
    "NAMES",
    "RecordSchema",
    "by_fingerprint",
    "json_schema",
    "json_writer",
    "latest",
    "to_json",
    "versions",
]
