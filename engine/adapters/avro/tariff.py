"""Tariff versions to bytes and back.

The record carries the canonical document itself, so that its digest can be checked by anyone with
a SHA-256; parsing it is the same path that people's documents take.
"""

from engine.adapters.avro.wire import decode, encode
from engine.adapters.documents.reading import parse_text
from engine.adapters.documents.tariff import parse_tariff
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.tariff import TariffVersion
from schemas.loader import latest

_SCHEMA = latest("tariff_version")


def encode_tariff(version: TariffVersion) -> bytes:
    """Return a tariff version in single-object encoding."""
    fields = {
        "tariff_id": version.tariff_id,
        "version": version.version,
        "digest": version.digest,
        "document": version.document,
    }
    return encode(_SCHEMA, fields)


def decode_tariff(data: bytes, name: str) -> TariffVersion:
    """Read a tariff version. InvalidDocument or InvalidFile if the record is not sound."""
    decoded = decode(data)
    if isinstance(decoded, Refusal):
        raise InvalidDocument(name, decoded.explanation, "a tariff_version record")
    if decoded.name != "tariff_version":
        raise InvalidDocument(name, decoded.name, "a tariff_version record")
    version = parse_tariff(parse_text(decoded.fields["document"], name), name)
    named = (decoded.fields["tariff_id"], decoded.fields["version"], decoded.fields["document"])
    if named != (version.tariff_id, version.version, version.document):
        raise InvalidDocument(name, named[:2], "the canonical document of that version")
    if version.digest != decoded.fields["digest"]:
        raise InvalidDocument(
            f"{name}, digest", decoded.fields["digest"].hex(), f"{version.digest.hex()}"
        )
    return version
