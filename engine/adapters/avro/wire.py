"""Single-object encoding: C3 01, the schema's fingerprint, then the Avro body.

No registry is needed: the fingerprint names the writer's schema, and several record types may
share a topic. What can not be read becomes a `Refusal`, so that a poison record never stops a
stream.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

from fastavro import schemaless_reader, schemaless_writer

from engine.rating.errors import Refusal
from schemas.loader import RecordSchema, by_fingerprint, latest

HEADER_SIZE = 10
_MARKER = b"\xc3\x01"


class Decoded(NamedTuple):
    """A record's schema name and its fields."""

    name: str
    fields: dict[str, Any]


def encode(schema: RecordSchema, fields: dict[str, Any]) -> bytes:
    """Return a record in single-object encoding."""
    out = BytesIO()
    out.write(schema.header)
    schemaless_writer(out, schema.parsed, fields)
    return out.getvalue()


def decode(data: bytes) -> Decoded | Refusal:
    """Read a record of any type and version, or say why it can not be read.

    The fields are those of the latest version of its schema.
    """
    return _decode(data, lambda writer: latest(writer.name))


def decode_as_written(data: bytes) -> Decoded | Refusal:
    """Read a record as `decode` does, but with the fields of the version that it was written in."""
    return _decode(data, lambda writer: writer)


def _decode(data: bytes, reader_of: Callable[[RecordSchema], RecordSchema]) -> Decoded | Refusal:
    if data[:2] != _MARKER:
        return _refuse_frame(data)
    writer = by_fingerprint(data[:HEADER_SIZE])
    if writer is None:
        return Refusal(
            "unknown_schema",
            f"fingerprint: got {data[2:HEADER_SIZE].hex()}, expected one of the published schemas",
        )
    body = BytesIO(data)
    body.seek(HEADER_SIZE)
    reader = reader_of(writer)
    try:
        fields = schemaless_reader(
            body,
            writer.parsed,
            None if reader is writer else reader.parsed,
            return_record_name=True,
            return_record_name_override=True,
        )
    except (EOFError, IndexError, ValueError, OverflowError, MemoryError, TypeError) as error:
        return Refusal(
            "undecodable",
            f"body: got {len(data) - HEADER_SIZE} bytes that are no {writer.name} "
            f"({type(error).__name__}: {error}), expected version {writer.version} of it",
        )
    if body.tell() != len(data):
        return Refusal(
            "trailing_bytes",
            f"body: got {len(data) - body.tell()} bytes after the {writer.name}, expected none",
        )
    return Decoded(writer.name, fields)  # type: ignore[arg-type]


def _refuse_frame(data: bytes) -> Refusal:
    if not data:
        return Refusal("empty_record", "value: got nothing, expected a record")
    if data[0] == 0:
        return Refusal(
            "confluent_framing",
            "value: got Confluent schema-registry framing (first byte 00), expected single-object "
            "encoding (C3 01); no registry is configured",
        )
    return Refusal(
        "unrecognised_format",
        f"value: got {data[:8].hex()}..., expected single-object Avro (C3 01) or CloudEvents JSON",
    )


def to_decimal(pico: int) -> bytes:
    """Return a pico integer as the bytes of decimal(38,12)."""
    return pico.to_bytes((pico.bit_length() + 8) // 8, "big", signed=True)


def from_decimal(data: bytes) -> int:
    """Return the pico integer of a decimal(38,12)."""
    return int.from_bytes(data, "big", signed=True)


def optional_to_decimal(pico: int | None) -> bytes | None:
    """Return a pico integer as a nullable decimal(38,12)."""
    return None if pico is None else to_decimal(pico)


def optional_from_decimal(data: bytes | None) -> int | None:
    """Return the pico integer of a nullable decimal(38,12)."""
    return None if data is None else from_decimal(data)


def qualified(name: str) -> str:
    """Return the full name of a record type, as members of a union carry it."""
    return f"tollbook.{name}"
