"""Usage: what one call of a model consumed, in disjoint kinds.

Providers report overlapping numbers (cached tokens inside prompt tokens, thoughts outside
candidates); by the time usage reaches the engine every token is counted in exactly one *kind*.
A `UsageEvent` is checked once, in `check_usage`; after that nothing re-validates it.

Identity is (account_id, source, event_id), for ever. The *digest* covers the canonical billing
fields with defaults left out, so the same event has the same digest from Avro, from CloudEvents
and from a newer publisher that knows more fields (semantics section 1).
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

from engine.rating.errors import Refusal
from engine.rating.money import LIMIT_PICO
from engine.rating.period import FIRST_INSTANT, LAST_INSTANT

TOKEN_KINDS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "audio_cache_read",
    "image_output",
)
COUNT_KINDS = ("request", "image", "millisecond", "character", "search", "page", "tool_call")
MONEY_KINDS = ("pass_through_cost",)
UNEXPLAINED = "unexplained"
"""What a normaliser could not explain: visible, and priced by no wildcard."""

KINDS = (*TOKEN_KINDS, *COUNT_KINDS, *MONEY_KINDS, UNEXPLAINED)
"""The canonical order, in which the kinds of one event are rated."""

PARTS = {"audio_cache_read": "cache_read"}
"""Kinds that an older kind counted until they were told apart, and that kind: to whatever does not
name the part (a price, a promotion, a burn weight), it is what it was before."""

CONTEXT_KINDS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "audio_cache_read",
)
"""Kinds that make up the context length of a request (semantics section 2)."""

MAX_QUANTITY = 10**15
"""Per kind and event: a guard against unit mistakes."""

MAX_MONEY_QUANTITY_PICO = 10**18
"""Of a money kind per event: a million currency units."""

MAX_TEXT = 256
ACTIONS = ("record", "amend", "void")
INITIATORS = ("unknown", "user", "tool", "agent", "retry", "system")
REQUIRED_TEXTS = ("account_id", "source", "event_id", "provider", "model", "operation")
_IDENTITY_TEXTS = REQUIRED_TEXTS[:3]
"""All that a void needs to say: what it takes back says the rest."""

OPTIONAL_TEXTS = (
    "subject",
    "service_tier",
    "region",
    "trace_id",
    "parent_event_id",
    "corrects",
    "publisher",
)


_TEXTS = (*REQUIRED_TEXTS, *OPTIONAL_TEXTS)
_texts_of = itemgetter(*_TEXTS)

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators and half surrogates: a closed list, because what Unicode
calls printable changes with its version, and what is rejected must not."""


class UsageEvent(NamedTuple):
    """One checked usage event.

    `occurred_at` is in microseconds UTC; `quantities` holds (kind, quantity > 0) in canonical
    order; `attributes` is sorted by name. Empty text means absent.
    """

    account_id: str
    source: str
    event_id: str
    subject: str
    occurred_at: int
    provider: str
    model: str
    operation: str
    service_tier: str
    region: str
    quantities: tuple[tuple[str, int], ...]
    trace_id: str
    parent_event_id: str
    initiator: str
    action: str
    corrects: str
    attributes: tuple[tuple[str, str], ...]
    digest: bytes

    @property
    def context_length(self) -> int:
        """Tokens of the request's context: what thresholds such as `context_above` look at."""
        return sum(quantity for kind, quantity in self.quantities if kind in CONTEXT_KINDS)


class Position(NamedTuple):
    """Where an input stands: topic, partition, offset, and index in a usage batch (else 0)."""

    topic: str
    partition: int
    offset: int
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


class Origin(NamedTuple):
    """How an input reached the engine. `received_at`: the broker's log-append time, in us UTC."""

    position: Position
    received_at: int


def identity_key(account_id: str, source: str, event_id: str) -> str:
    """Return the identity of a usage event as 32 hex digits (SHA-256 of its parts, cut)."""
    return sha256(f"{account_id}\0{source}\0{event_id}".encode()).hexdigest()[:32]


def check_usage(
    fields: Mapping[str, object], allowed_attributes: frozenset[str]
) -> UsageEvent | Refusal:
    """Turn decoded fields into a `UsageEvent`, or say why not.

    `fields` has the names and types of schemas/avro/usage_event; this function checks the values.
    """
    refusal = (
        _check_texts(fields)
        or _check_time(fields)
        or _check_action(fields)
        or _check_attributes(fields, allowed_attributes)
    )
    if refusal:
        return refusal
    quantities = _check_quantities(fields)
    if isinstance(quantities, Refusal):
        return quantities
    return _usage_event(fields, quantities)


def _check_texts(fields: Mapping[str, object]) -> Refusal | None:
    texts: tuple[str, ...] = _texts_of(fields)
    if not all(texts[: len(REQUIRED_TEXTS)]):
        name = _TEXTS[texts.index("")]
        if fields["action"] != "void" or name in _IDENTITY_TEXTS:
            return Refusal("missing_field", f"{name}: got nothing, expected a text")
    together = "".join(texts)
    if len(together) <= MAX_TEXT and not UNPRINTABLE.search(together):
        return None
    for name, text in zip(_TEXTS, texts, strict=True):
        if len(text) > MAX_TEXT:
            return Refusal(
                "text_too_long",
                f"{name}: got {len(text)} characters, expected {MAX_TEXT} at most",
            )
        if UNPRINTABLE.search(text):
            return Refusal(
                "unprintable_text", f"{name}: got {text!r}, expected printable characters only"
            )
    return None


def _check_time(fields: Mapping[str, object]) -> Refusal | None:
    occurred_at = fields["occurred_at"]
    if isinstance(occurred_at, int) and FIRST_INSTANT <= occurred_at < LAST_INSTANT:
        return None
    return Refusal(
        "time_out_of_range",
        f"occurred_at: got {occurred_at} us, expected a time from 2000 to 2050 (microseconds UTC)",
    )


def _check_action(fields: Mapping[str, object]) -> Refusal | None:
    action, corrects = fields["action"], fields["corrects"]
    if action == "record" and corrects:
        return Refusal(
            "corrects_unexpected",
            f"corrects: got {corrects!r} with action record, expected it only with amend or void",
        )
    if action != "record" and not corrects:
        return Refusal(
            "corrects_missing", f"corrects: got nothing with action {action}, expected an event_id"
        )
    return None


def _check_attributes(fields: Mapping[str, object], allowed: frozenset[str]) -> Refusal | None:
    attributes = fields["attributes"]
    if not attributes:
        return None
    assert isinstance(attributes, Mapping)  # noqa: S101 - guaranteed by the decoder's schema
    for name, value in attributes.items():
        if name not in allowed:
            return Refusal(
                "attribute_not_allowed",
                f"attributes: got {name[:MAX_TEXT]!r}, expected one of {', '.join(sorted(allowed))}",
            )
        if len(value) > MAX_TEXT or UNPRINTABLE.search(value):
            return Refusal(
                "attribute_not_allowed",
                f"attributes.{name}: got {value[:40]!r}, expected {MAX_TEXT} printable characters "
                "at most",
            )
    return None


def _check_quantities(fields: Mapping[str, object]) -> tuple[tuple[str, int], ...] | Refusal:
    values = fields["quantities"]
    assert isinstance(values, Mapping)  # noqa: S101 - guaranteed by the decoder's schema
    quantities = tuple((kind, values[kind]) for kind in KINDS if values[kind])
    for kind, quantity in quantities:
        limit = MAX_MONEY_QUANTITY_PICO if kind in MONEY_KINDS else MAX_QUANTITY
        if quantity < 0:
            return Refusal(
                "negative_quantity",
                f"quantities.{kind}: got {_shown(quantity)}, expected 0 or more",
            )
        if quantity > limit:
            return Refusal(
                "quantity_too_large",
                f"quantities.{kind}: got {_shown(quantity)}, expected {limit} at most",
            )
    if not quantities and fields["action"] != "void":
        return Refusal("no_quantities", "quantities: got none, expected at least one above zero")
    return quantities


def _shown(quantity: int) -> str:
    """Return a quantity for a message; a decimal on the wire may have thousands of digits."""
    return str(quantity) if abs(quantity) < LIMIT_PICO else "more than 38 digits"


def _usage_event(
    fields: Mapping[str, object], quantities: tuple[tuple[str, int], ...]
) -> UsageEvent:
    attributes = fields["attributes"]
    values = (
        fields["account_id"],
        fields["source"],
        fields["event_id"],
        fields["subject"],
        fields["occurred_at"],
        fields["provider"],
        fields["model"],
        fields["operation"],
        fields["service_tier"] or "standard",
        fields["region"],
        quantities,
        fields["trace_id"],
        fields["parent_event_id"],
        fields["initiator"],
        fields["action"],
        fields["corrects"],
        tuple(sorted(attributes.items())) if isinstance(attributes, Mapping) and attributes else (),
    )
    return UsageEvent._make((*values, sha256(canonical_form(values)).digest()))


_DEFAULTS = {
    "operation": "chat",
    "service_tier": "standard",
    "initiator": "unknown",
    "action": "record",
}
_BILLING_FIELDS = tuple((name, _DEFAULTS.get(name, "")) for name in UsageEvent._fields[:-1])
_OCCURRED_AT, _QUANTITIES, _ATTRIBUTES = (
    UsageEvent._fields.index(name) for name in ("occurred_at", "quantities", "attributes")
)


def canonical_form(values: tuple[Any, ...]) -> bytes:
    """Return the billing fields as unambiguous bytes: ``name=length:text;`` without defaults.

    `values` are the fields of a `UsageEvent` without its digest. Transport fields (publisher and
    its sequence, position) are not billing fields, so publishing again is a duplicate.
    """
    texts = list(values)
    texts[_OCCURRED_AT] = str(values[_OCCURRED_AT])
    texts[_QUANTITIES] = ",".join(
        [f"{kind}={len(str(quantity))}:{quantity}" for kind, quantity in values[_QUANTITIES]]
    )
    texts[_ATTRIBUTES] = ",".join(
        [f"{len(key)}:{key}={len(text)}:{text}" for key, text in values[_ATTRIBUTES]]
    )
    return "".join(
        [
            f"{name}={len(text)}:{text};"
            for (name, default), text in zip(_BILLING_FIELDS, texts, strict=True)
            if text != default
        ]
    ).encode()
