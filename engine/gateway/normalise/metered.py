"""Usage that another meter has counted already: OpenMeter's CloudEvents, Autumn, our own JSON.

These are sent by an operator's own service and not by the caller of a model, so the customer they name
is the account, unless the context knows it (as it does where a key is bound to accounts).
"""

import json
from collections.abc import Mapping
from typing import Any

from engine.gateway.normalise.call import Call, Form, Reading
from engine.gateway.normalise.openai import has_usage, token_kinds
from engine.gateway.normalise.record import Context, Part, Unusable
from engine.rating.usage import KINDS

_KIND_OF_TYPE = {
    "input": "input",
    "prompt": "input",
    "system": "input",
    "output": "output",
    "completion": "output",
    **{kind: kind for kind in KINDS if kind not in ("pass_through_cost", "unexplained")},
}
"""Of an event that counts tokens of one type: the kind."""

_POOLS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write_5m",
    "audio_input_tokens": "audio_input",
    "audio_output_tokens": "audio_output",
    "reasoning_tokens": "reasoning",
}
"""Autumn's pools, which are disjoint as ours are."""


def _fits_cloudevents(record: Part) -> bool:
    return "specversion" in record.data


def _read_cloudevents(record: Part, context: Context) -> Reading:
    """Read one event: tokens of one type, a whole usage, or, without either, one request."""
    del context
    for name in ("id", "source", "type"):
        if not record.text(name):
            raise Unusable(name, record.data.get(name), "a text: CloudEvents asks for it")
    data = _data_of(record)
    tokens = data.counted("tokens")
    if tokens is not None:
        kind = _KIND_OF_TYPE.get(data.text("type").lower(), "unexplained")
        quantities = {kind: tokens}
    elif has_usage(data):
        quantities = token_kinds(data)
    else:
        quantities = {"request": 1}
    is_of_model = "request" not in quantities
    call = Call(
        quantities=quantities,
        provider=data.text("provider"),
        model=data.text("model"),
        operation=data.text("operation") or ("chat" if is_of_model else record.text("type")),
        event_id=record.text("id"),
        occurred_at=record.time("time"),
        account_id=record.text("subject"),
        source=record.text("source"),
    )
    return (call,)


def _data_of(record: Part) -> Part:
    """Return the data of an event; some senders put it in a text, which must be JSON then."""
    data = record.data.get("data")
    if not isinstance(data, str):
        return record.part("data")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = data
    return Part({"data": found}).part("data")


def _fits_autumn(record: Part) -> bool:
    return (
        "customer_id" in record.data and "feature_id" in record.data and "model_id" in record.data
    )


def _read_autumn(record: Part, context: Context) -> Reading:
    """Read a request to track tokens; it has an id only where an idempotency key is sent."""
    del context
    provider, _, model = record.text("model_id").partition("/")
    call = Call(
        quantities={kind: record.count(pool) for pool, kind in _POOLS.items()},
        provider=provider if model else "",
        model=model or provider,
        event_id=record.text("idempotency_key"),
        occurred_at=record.scaled(1_000, "timestamp"),
        account_id=record.text("customer_id"),
        subject=record.text("entity_id"),
    )
    return (call,)


def fits_usage(record: Part) -> bool:
    """Say whether a record is a usage event in our own JSON."""
    return "event_id" in record.data and ("quantities" in record.data or "action" in record.data)


def in_context(record: Part, context: Context) -> dict[str, Any]:
    """Return a usage event of our own with the context applied, as it is to any other record."""
    given = {
        name: value
        for name, value in context._asdict().items()
        if value and name not in ("model", "spare_event_id", "pass_through_cost")
    }
    event: Mapping[str, Any] = record.data
    return {**event, **given}


def _read_usage(record: Part, context: Context) -> Reading:
    raise AssertionError(record.place, context)  # it is taken as it is: see `in_context`


FORMS = (
    Form("cloudevents", _fits_cloudevents, _read_cloudevents, _fits_cloudevents),
    Form("autumn", _fits_autumn, _read_autumn, _fits_autumn),
    Form("usage", fits_usage, _read_usage, fits_usage),
)
