"""What a body is: its format, and the records in it, not yet looked into.

The format is said by the query (`format=`), the header `tollbook-format` or the media type; JSON of
which nothing is said is native usage JSON, or CloudEvents if it says `specversion`. CloudEvents of
another type than ours are taken only if `format` says so: a misspelt type must not be charged as
something else. JSON of which nothing is said and that is an OTLP export is `otel`. A body is one record,
a JSON array of records, or JSON lines; an export is its spans. A bad line is a refused record and does not take its
neighbours along; a body that is no JSON at all is refused as a whole.
"""

import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

from engine.adapters.documents.usage import read_json
from engine.gateway.normalise import FORMATS
from engine.http.otlp import items_of, rejected_name
from engine.http.problem import Problem
from engine.rating.errors import Refusal

NATIVE = "usage"
CLOUDEVENTS = "cloudevents"
OWN_CLOUDEVENTS = "usage in cloudevents"
"""What CloudEvents are unless `format` says that other types than ours are meant too."""
AUTO = "auto"
OTEL = "otel"
OF_BODY = (AUTO, *FORMATS)
"""What `format` may say."""
FORMAT_HEADER = "tollbook-format"
REJECTED = ("log",)
"""What `rejected` may say."""
REJECTED_HEADER = "tollbook-rejected"
MAX_RECORDS = 10_000
"""Of one body."""

_CLOUDEVENT = "application/cloudevents+json"
_CLOUDEVENT_BATCH = "application/cloudevents-batch+json"
_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
_JSON = "application/json"
MEDIA_TYPES = (_JSON, _CLOUDEVENT, _CLOUDEVENT_BATCH, *_LINES)
_CE_HEADER = "ce-"


class Body(NamedTuple):
    """The records of a body, or why one of them is none, and how each is to be read.

    `envelope`: the attributes of a CloudEvent in binary mode, which stand in headers. `rejected_name`:
    of an OTLP export, what its answer calls the number of the rejected.
    """

    form: str
    records: list[Any]
    envelope: tuple[tuple[str, str], ...] = ()
    rejected_name: str = ""


def read_body(data: bytes, headers: Mapping[str, str], query: Mapping[str, str]) -> Body:
    """Return what a body is.

    Problem: invalid_parameter, media_type_not_supported, invalid_body, too_many_records.
    """
    media_type = headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise Problem(
            "media_type_not_supported",
            f"content-type: got {media_type!r}, expected one of {', '.join(MEDIA_TYPES)}",
        )
    said = choice("format", OF_BODY, headers, query)
    envelope = tuple(
        (name.removeprefix(_CE_HEADER), unquote(value))
        for name, value in headers.items()
        if name.startswith(_CE_HEADER)
    )
    if envelope and said in ("", CLOUDEVENTS) and media_type == _JSON:
        return Body(said or OWN_CLOUDEVENTS, [_json(data)], envelope)
    if media_type in (_CLOUDEVENT, _CLOUDEVENT_BATCH):
        return Body(_form_of_cloudevents(said), _cloudevents(data, media_type))
    found = _lines(data) if media_type in _LINES else _json(data)
    records = _records(found)
    if said in ("", AUTO, OTEL) and (name := rejected_name(found)):
        return Body(OTEL, records, rejected_name=name)
    return Body(said or (OWN_CLOUDEVENTS if _has_envelope(records) else NATIVE), records)


def _form_of_cloudevents(said: str) -> str:
    if said not in ("", AUTO, CLOUDEVENTS):
        raise Problem(
            "invalid_parameter", f"format: got {said!r} with the media type of {CLOUDEVENTS}"
        )
    return CLOUDEVENTS if said else OWN_CLOUDEVENTS


def _cloudevents(data: bytes, media_type: str) -> list[Any]:
    expected = list if media_type == _CLOUDEVENT_BATCH else dict
    found = _json(data)
    if not isinstance(found, expected):
        what = "an array" if expected is list else "an object"
        raise Problem("invalid_body", f"body: expected {what} with content-type {media_type}")
    return _records(found)


def choice(
    name: str, among: Sequence[str], headers: Mapping[str, str], query: Mapping[str, str]
) -> str:
    """Return what is said of `name`, else empty: the query goes before the header `tollbook-NAME`.

    Problem: invalid_parameter.
    """
    places = (query.get(name), headers.get(f"tollbook-{name}"))
    said = [text for text in places if text is not None]
    for text in said:
        if text not in among:
            raise Problem(
                "invalid_parameter",
                f"{name}: got {text[:80]!r}, expected one of {', '.join(among)}",
            )
    return said[0] if said else ""


def _lines(data: bytes) -> list[Any]:
    lines = list(islice(filter(None, map(bytes.strip, io.BytesIO(data))), MAX_RECORDS + 1))
    _check_number(lines)  # before they are read: that is what many of them cost
    return list(map(read_json, lines))


def _records(found: Any) -> list[Any]:
    records = found if isinstance(found, list) else [found]
    if not records:
        raise Problem("invalid_body", "body: got no record, expected at least one")
    records = list(islice(_unpacked(records), MAX_RECORDS + 1))
    _check_number(records)
    return records


def _check_number(records: list[Any]) -> None:
    if len(records) > MAX_RECORDS:
        raise Problem("too_many_records", f"body: got more, expected {MAX_RECORDS} records at most")


def _json(data: bytes) -> Any:
    found = read_json(data)
    if isinstance(found, Refusal):
        raise Problem("invalid_body", f"body: {found.explanation}")
    return found


def _has_envelope(records: list[Any]) -> bool:
    return all(isinstance(record, dict) and "specversion" in record for record in records)


def _unpacked(records: list[Any]) -> Iterator[Any]:
    """Yield records; an OTLP document becomes its spans, so that each has a result of its own."""
    for record in records:
        if rejected_name(record):
            yield from items_of(record)
        else:
            yield record


def decompress(data: bytes, encoding: str, most_bytes: int) -> bytes:
    """Return a body as it was before it was compressed, of `most_bytes` at most.

    Problem: encoding_not_supported, invalid_body, body_too_large.
    """
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise Problem(
            "encoding_not_supported",
            f"content-encoding: got {encoding[:80]!r}, expected gzip or identity",
            {"Accept-Encoding": "gzip"},
        )
    expander = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        found = expander.decompress(data, most_bytes + 1)
    except zlib.error as error:
        raise Problem("invalid_body", f"body: {error}, expected gzip") from error
    if len(found) > most_bytes:
        raise Problem("body_too_large", f"body: got more than {most_bytes} bytes once decompressed")
    if not expander.eof:
        raise Problem("invalid_body", "body: got a part, expected the whole of it in gzip")
    if expander.unused_data:
        raise Problem("invalid_body", "body: got more behind it, expected one member of gzip")
    return found
