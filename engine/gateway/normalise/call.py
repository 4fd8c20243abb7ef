"""From what a record says of a model call to a usage event: the context is applied, the result checked.

Every event that leaves here is one that the engine takes: it has passed the same two checks as at the
engine's own door (`parse_usage`, `check_usage`).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.adapters.documents.usage import parse_usage
from engine.gateway.normalise.record import Context, Part, Unusable, rfc3339
from engine.rating.errors import Refusal
from engine.rating.usage import check_usage

USAGE_NEVER_CAME: Mapping[str, int] = {"unexplained": 1}
"""A call that was served and whose usage is not known: one call, not an estimate of its tokens."""

UNKNOWN = "unknown"
"""The model or provider that neither the record nor the context names: visible, and never free, as
no tariff should have a price for it."""

ERROR_RESPONSE = "error_response"
CACHE_HIT = "cache_hit_of_gateway"
NO_MODEL_CALL = "no_model_call"

_CLIENT_CLOSED = 499
_FIRST_ERROR = 400

_TIERS = {
    "default": "",
    "auto": "",
    "standard": "",
    "on_demand": "",
    "unspecified": "",
    "traffic_type_unspecified": "",
    "fast": "priority",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
    "provisioned_throughput": "provisioned",
}


class Call(NamedTuple):
    """What a record says of one billed model call. Empty text: it does not say.

    `occurred_at` is in microseconds UTC, None if the record does not say. `suffix` tells further
    calls of one record apart: it is added to the event id, and the record's first call is their
    parent.
    """

    quantities: Mapping[str, int | str]
    provider: str = ""
    model: str = ""
    operation: str = "chat"
    event_id: str = ""
    occurred_at: int | None = None
    service_tier: str = ""
    region: str = ""
    account_id: str = ""
    source: str = ""
    subject: str = ""
    trace_id: str = ""
    initiator: str = ""
    suffix: str = ""


Reading = tuple[Call, ...] | str
"""The calls of a record; or why it is not charged."""


class Form(NamedTuple):
    """A format of records.

    `fits` says whether a record bears the marks of this format and no other (for `auto`); `accepts`
    whether it can be read as one when the format is given.
    """

    name: str
    fits: Callable[[Part], bool]
    read: Callable[[Part, Context], Reading]
    accepts: Callable[[Part], bool]


def is_error_status(status: int | None) -> bool:
    """Say whether an HTTP status means that nothing was served.

    499 does not: the client went away, and the model may have been used.
    """
    return status is not None and status >= _FIRST_ERROR and status != _CLIENT_CLOSED


def served_tier(text: str) -> str:
    """Return the engine's name of a service tier that a response names; empty for the standard."""
    name = text.lower().removeprefix("service_tier_")
    return _TIERS.get(name, name)


def usage_event(call: Call, form: str, context: Context) -> dict[str, Any]:
    """Return the usage event of a call in native usage JSON. Unusable if it would be refused."""
    first_id = context.event_id or call.event_id or context.spare_event_id
    occurred_at = context.occurred_at
    if not occurred_at and call.occurred_at is not None:
        occurred_at = rfc3339("occurred_at", call.occurred_at)
    event = {
        "account_id": _needed("account_id", context.account_id or call.account_id),
        "source": context.source or call.source or form,
        "event_id": _needed("event_id", first_id) + call.suffix,
        "subject": context.subject or call.subject,
        "occurred_at": _needed("occurred_at", occurred_at),
        "provider": context.provider or call.provider or UNKNOWN,
        "model": call.model or context.model or UNKNOWN,
        "operation": context.operation or call.operation,
        "service_tier": served_tier(call.service_tier),
        "region": call.region,
        "quantities": {kind: value for kind, value in call.quantities.items() if value}
        or dict(USAGE_NEVER_CAME),
        "trace_id": call.trace_id,
        "parent_event_id": first_id if call.suffix else "",
        "initiator": call.initiator,
    }
    event = {name: value for name, value in event.items() if value}
    check_event(event)
    return event


def _needed(name: str, value: str) -> str:
    if not value:
        raise Unusable(name, None, "it in the record or in the context")
    return value


def check_event(event: dict[str, Any]) -> None:
    """Raise Unusable if the engine would refuse a usage event."""
    fields = parse_usage(event)
    refusal = fields if isinstance(fields, Refusal) else check_usage(fields, frozenset())
    if isinstance(refusal, Refusal):
        place, _, rest = refusal.explanation.partition(":")
        place = place.strip("'")
        value: Any = event
        for name in place.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        raise Unusable(place, value, rest.rpartition("expected ")[2])
