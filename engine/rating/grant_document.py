"""The document of a grant: its terms in the shape that people write, defaults left out."""

from collections.abc import Callable
from typing import TypeVar

from engine.rating.canonical import Document, canonical_match
from engine.rating.component import Weights
from engine.rating.grant import BREAKAGE, CREDIT, PLAIN_WEIGHTS, Grant, Thresholds
from engine.rating.money import format_decimal, format_pico
from engine.rating.period import format_instant


def grant_document(grant: Grant) -> Document:
    """Return the terms of a grant; durations are in seconds."""
    match = canonical_match(grant.match)
    rollover, grace = grant.rollover, grant.grace
    document: dict[str, object | None] = {
        "grant_id": grant.grant_id,
        "unit": grant.unit,
        "amount": format_pico(grant.amount),
        "valid_from": format_instant(grant.valid_from),
        "valid_to": grant.valid_to and format_instant(grant.valid_to),
        "granted_at": _unless(grant.valid_from, grant.granted_at, format_instant),
        "priority": grant.priority or None,
        "weights": _unless(PLAIN_WEIGHTS, grant.weights, _decimals),
        "model_weights": {
            pattern.glob or pattern.choices[0]: _decimals(weights)
            for pattern, weights in grant.model_weights
        }
        or None,
        "match": match or None,
        "per_subject_cap": grant.per_subject_cap and format_pico(grant.per_subject_cap),
        "recurs": grant.recurrence or None,
        "anchor": grant.anchor and format_instant(grant.anchor),
        "rollover_up_to": None if rollover is None else format_pico(rollover.most),
        "rollover_at_least": format_pico(rollover.least) if rollover and rollover.least else None,
        "grace_seconds": None if grace is None else _seconds(grace),
        "paid": grant.is_paid or None,
        "returns": _unless(CREDIT if grant.is_paid else BREAKAGE, grant.returns, str),
        "alerts": _unless(Thresholds(), grant.thresholds, _thresholds),
    }
    return {name: value for name, value in document.items() if value is not None}


_Value = TypeVar("_Value")


def _unless(default: _Value, value: _Value, shown: Callable[[_Value], object]) -> object | None:
    """Return a value as it is shown; None where it is the default."""
    return None if value == default else shown(value)


def _thresholds(thresholds: Thresholds) -> Document:
    lead = thresholds.expiry_lead
    return {
        "used_percents": [*thresholds.used_percents],
        "remaining": [format_pico(level) for level in thresholds.remaining],
        "expiry_lead_seconds": None if lead is None else _seconds(lead),
        "run_out": thresholds.run_out,
    }


def _decimals(weights: Weights) -> dict[str, str]:
    return {kind: format_decimal(weight) for kind, weight in weights}


def _seconds(span: int) -> str:
    return format_pico(span * 1_000_000)
