"""CloudEvents 1.0 in JSON: usage from gateways that speak the common envelope.

Over Kafka an event comes in one of three ways: *binary* mode (attributes in headers ``ce_*``, the
value is the data), *structured* mode (the value is the whole event) and, as in HTTP, a *batch* (a
JSON array of events). The data is the JSON form of a usage event, in which `source`, `event_id`,
`occurred_at` and `subject` may be left to the envelope; said twice, they must agree, because the
identity of an event must not depend on who reads it.

A batch gives one result per event, so that a bad event does not take its neighbours along. Other
attributes of the envelope are not usage and are ignored, as CloudEvents asks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.adapters.avro.usage import Fields
from engine.adapters.documents.usage import parse_time, parse_usage, read_json, shown
from engine.rating.errors import Refusal

USAGE_TYPE = "tollbook.usage.v1"
SPEC_VERSION = "1.0"

Headers = Sequence[tuple[str, bytes | None]]

_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"
_STRUCTURED = "application/cloudevents"
_STRUCTURED_JSON = (
    _STRUCTURED,
    f"{_STRUCTURED}+json",
    f"{_STRUCTURED}-batch",
    f"{_STRUCTURED}-batch+json",
)
_REQUIRED = ("specversion", "id", "source", "type")
_SAID_BY_ENVELOPE = (("source", "source"), ("id", "event_id"), ("subject", "subject"))


def is_cloudevents(value: bytes, headers: Headers) -> bool:
    """Say whether a record is meant as CloudEvents JSON: by its headers, or as it is JSON."""
    if value.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
        return True
    said = {name.lower(): content or b"" for name, content in headers}
    content_type = said.get(_CONTENT_TYPE, b"").lower()
    return f"{_PREFIX}specversion" in said or content_type.startswith(_STRUCTURED.encode())


def decode_cloudevents(value: bytes, headers: Headers) -> list[Fields | Refusal] | Refusal:
    """Return the fields of each event in a record, or why one or all of them can not be read.

    Codes of the record: invalid_json, invalid_cloudevent, empty_batch. Codes of one event:
    invalid_cloudevent, unknown_event_type, and those of `parse_usage`.
    """
    attributes = _read_headers(headers)
    if isinstance(attributes, Refusal):
        return attributes
    media_type = _media_type(attributes.get("datacontenttype"))
    is_structured = media_type in _STRUCTURED_JSON
    if not is_structured and not _is_json(media_type):
        return _invalid(_CONTENT_TYPE, media_type, f"application/json or {_STRUCTURED}+json")
    data = read_json(value)
    if isinstance(data, Refusal):
        return data
    if "specversion" in attributes and not is_structured:
        return [read_event({**attributes, "data": data})]
    events = data if isinstance(data, list) else [data]
    if not events:
        return Refusal("empty_batch", "value: got no event, expected at least one")
    return [read_event(event) for event in events]


def _read_headers(headers: Headers) -> dict[str, Any] | Refusal:
    """Return the attributes that stand in headers, each at most once, as text."""
    attributes: dict[str, Any] = {}
    for header, content in headers:
        name = header.lower()
        if name == _CONTENT_TYPE:
            name = "datacontenttype"
        elif name.startswith(_PREFIX):
            name = name.removeprefix(_PREFIX)
        else:
            continue
        if name in attributes:
            return Refusal("invalid_cloudevent", f"{shown(header)}: got it twice, expected it once")
        try:
            attributes[name] = (content or b"").decode()
        except UnicodeDecodeError:
            return Refusal("invalid_cloudevent", f"{shown(header)}: got bytes, expected UTF-8")
    return attributes


def _media_type(content_type: Any) -> str:
    return str(content_type or "").partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    """Say whether a media type, if there is one, is JSON and not an envelope itself."""
    if not media_type or media_type == "application/json":
        return True
    return media_type.endswith("+json") and not media_type.startswith(_STRUCTURED)


def read_event(event: Any) -> Fields | Refusal:
    """Return the fields of one event, or why it can not be read: an object with its `data` inside."""
    if not isinstance(event, dict):
        return _invalid("event", event, "an object")
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            return _invalid(name, event.get(name), "a text")
    if event["specversion"] != SPEC_VERSION:
        return _invalid("specversion", event["specversion"], SPEC_VERSION)
    if event["type"] != USAGE_TYPE:
        return Refusal(
            "unknown_event_type", f"type: got {shown(event['type'])}, expected {USAGE_TYPE}"
        )
    content_type = event.get("datacontenttype")
    if not _is_json(_media_type(content_type)):
        return _invalid("datacontenttype", content_type, "application/json")
    data = event.get("data")
    if not isinstance(data, dict):
        return _invalid("data", data, "a usage event in JSON")
    return _parse_data(data, event)


def _parse_data(data: dict[str, Any], event: Mapping[str, Any]) -> Fields | Refusal:
    """Parse the usage event, with what it leaves to the envelope."""
    usage = dict(data)
    for attribute, name in _SAID_BY_ENVELOPE:
        said = event.get(attribute)
        if said is None:
            continue
        if usage.setdefault(name, said) != said:
            return _disagree(name, usage[name], attribute, said)
    time = event.get("time")
    if time is not None:
        at = parse_time("time", time)
        if isinstance(at, Refusal):
            return at
        occurred_at = usage.setdefault("occurred_at", time)
        if occurred_at != time and parse_time("occurred_at", occurred_at) != at:
            return _disagree("occurred_at", occurred_at, "time", time)
    return parse_usage(usage)


def _disagree(name: str, value: Any, attribute: str, said: Any) -> Refusal:
    return _invalid(f"data.{name}", value, f"as the envelope's {attribute}: {shown(said)}")


def _invalid(place: str, value: Any, expected: str) -> Refusal:
    return Refusal("invalid_cloudevent", f"{place}: got {shown(value)}, expected {expected}")
