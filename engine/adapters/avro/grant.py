"""Grants and limits, the parts of several records, to fields and back.

What a grant covers is written as the canonical JSON of a tariff's match, so that there is one language
for it; everything else has fields of its own.
"""

import json
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from engine.adapters.avro.wire import (
    from_decimal,
    optional_from_decimal,
    optional_to_decimal,
    to_decimal,
)
from engine.adapters.documents.matching import MatchDocument
from engine.rating.canonical import canonical_match
from engine.rating.component import Weights
from engine.rating.errors import InvalidDocument
from engine.rating.grant import Grant, Rollover, Thresholds
from engine.rating.limit import Limit
from engine.rating.matching import ANYTHING, Match
from engine.rating.money import PICO, to_pico
from engine.rating.pattern import Pattern

Fields = dict[str, Any]


def grant_fields(grant: Grant) -> Fields:
    """Return a grant as the fields of its schema. ValueError for a weight of over 12 decimals."""
    rollover, thresholds = grant.rollover, grant.thresholds
    return {
        **grant._asdict(),
        "amount": to_decimal(grant.amount),
        "weights": _weights_fields(grant.weights),
        "model_weights": [
            {"model": pattern_text(pattern), "weights": _weights_fields(weights)}
            for pattern, weights in grant.model_weights
        ],
        "match": match_text(grant.match),
        "per_subject_cap": optional_to_decimal(grant.per_subject_cap),
        "rollover": rollover
        and {"most": to_decimal(rollover.most), "least": to_decimal(rollover.least)},
        "thresholds": {
            "used_percents": [*thresholds.used_percents],
            "remaining": [to_decimal(level) for level in thresholds.remaining],
            "expiry_lead": thresholds.expiry_lead,
            "run_out": thresholds.run_out,
        },
    }


def grant_of(fields: Fields) -> Grant:
    """Return the grant that decoded fields describe. InvalidDocument if its match is none."""
    rollover, thresholds = fields["rollover"], fields["thresholds"]
    return Grant(
        **{
            **fields,
            "amount": from_decimal(fields["amount"]),
            "weights": _weights_of(fields["weights"]),
            "model_weights": tuple(
                (pattern_of(row["model"]), _weights_of(row["weights"]))
                for row in fields["model_weights"]
            ),
            "match": match_of(fields["match"]),
            "per_subject_cap": optional_from_decimal(fields["per_subject_cap"]),
            "rollover": rollover
            and Rollover(from_decimal(rollover["most"]), from_decimal(rollover["least"])),
            "thresholds": Thresholds(
                tuple(thresholds["used_percents"]),
                tuple(map(from_decimal, thresholds["remaining"])),
                thresholds["expiry_lead"],
                thresholds["run_out"],
            ),
        }
    )


def _weights_fields(weights: Weights) -> list[Fields]:
    return [{"kind": kind, "weight": to_decimal(to_pico(weight))} for kind, weight in weights]


def _weights_of(rows: Iterable[Fields]) -> Weights:
    return _weights(tuple((row["kind"], row["weight"]) for row in rows))


@lru_cache(maxsize=4096)
def _weights(written: tuple[tuple[str, bytes], ...]) -> Weights:
    """Return weights; most grants have the same ones, which are kept in memory once."""
    return tuple((kind, Fraction(from_decimal(weight), PICO)) for kind, weight in written)


def limit_fields(limit: Limit) -> Fields:
    """Return a limit as the fields of its schema."""
    amount = optional_to_decimal(limit.amount)
    return {**limit._asdict(), "amount": amount, "percents": [*limit.percents]}


def limit_of(fields: Fields) -> Limit:
    """Return the limit that decoded fields describe."""
    amount = optional_from_decimal(fields["amount"])
    return Limit(**{**fields, "amount": amount, "percents": tuple(fields["percents"])})


def pattern_text(pattern: Pattern) -> str:
    """Return the one text or glob of a pattern."""
    return pattern.glob or pattern.choices[0]


def pattern_of(text: str) -> Pattern:
    """Return the pattern of one text, or of a glob with * and ?."""
    return Pattern(glob=text) if "*" in text or "?" in text else Pattern((text,))


@lru_cache(maxsize=4096)
def match_text(match: Match) -> str:
    """Return a match as canonical JSON; empty for one that matches everything."""
    document = canonical_match(match)
    if not document:
        return ""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=4096)
def match_of(text: str) -> Match:
    """Return the match of a JSON text: ANYTHING itself if it is empty. InvalidDocument."""
    if not text:
        return ANYTHING
    try:
        match = MatchDocument.model_validate(json.loads(text)).build()
    except (ValueError, RecursionError) as error:
        raise InvalidDocument("match", text[:200], "a match as in a tariff, in JSON") from error
    return ANYTHING if match == ANYTHING else match
