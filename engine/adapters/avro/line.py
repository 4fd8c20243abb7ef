"""The lines of a charge, and what moved in buckets, to fields and back."""

from typing import Any

from engine.adapters.avro.wire import (
    from_decimal,
    optional_from_decimal,
    optional_to_decimal,
    to_decimal,
)
from engine.rating.amount import Slice
from engine.rating.charge import Draw, Drawdown, Line, Repricing


def line_fields(line: Line) -> dict[str, Any]:
    """Return a line as the fields of its schema."""
    return {
        "component": line.component,
        "kind": line.kind,
        "quantity": line.quantity,
        "counter": line.counter,
        "before": to_decimal(line.before),
        "metered": to_decimal(line.metered),
        "slices": [
            {
                "tier": part.tier,
                "quantity": to_decimal(part.quantity),
                "unit_price": part.unit_price,
                "per": part.per,
                "flat_fee": part.flat_fee,
                "amount": to_decimal(part.amount),
            }
            for part in line.slices
        ],
        "repricings": [
            {
                "version": change.version,
                "before": to_decimal(change.before),
                "metered": to_decimal(change.metered),
                "amount": to_decimal(change.amount),
                "promotion": change.promotion,
            }
            for change in line.repricings
        ],
        "amount": optional_to_decimal(line.amount),
        "status": line.status,
        "reason": line.reason,
        "promotion": line.promotion,
        "tally": line.tally,
        "tallied": optional_to_decimal(line.tallied),
        "covered": line.covered,
        "draws": [
            {
                "bucket": draw.bucket,
                "quantity": draw.quantity,
                "units": to_decimal(draw.units),
                "credited": to_decimal(draw.credited),
            }
            for draw in line.draws
        ],
    }


def line_of(fields: dict[str, Any]) -> Line:
    """Return the line that decoded fields describe."""
    return Line(
        fields["component"],
        fields["kind"],
        fields["quantity"],
        fields["counter"],
        from_decimal(fields["before"]),
        from_decimal(fields["metered"]),
        tuple(
            Slice(
                part["tier"],
                from_decimal(part["quantity"]),
                part["unit_price"],
                part["per"],
                part["flat_fee"],
                from_decimal(part["amount"]),
            )
            for part in fields["slices"]
        ),
        tuple(
            Repricing(
                change["version"],
                from_decimal(change["before"]),
                from_decimal(change["metered"]),
                from_decimal(change["amount"]),
                change["promotion"],
            )
            for change in fields["repricings"]
        ),
        optional_from_decimal(fields["amount"]),
        fields["status"],
        fields["reason"],
        fields["promotion"],
        fields["tally"],
        optional_from_decimal(fields["tallied"]),
        fields["covered"],
        tuple(
            Draw(
                draw["bucket"],
                draw["quantity"],
                from_decimal(draw["units"]),
                from_decimal(draw["credited"]),
            )
            for draw in fields["draws"]
        ),
    )


def drawdown_fields(drawdown: Drawdown) -> dict[str, Any]:
    """Return a drawdown as the fields of its schema."""
    return {
        "bucket": drawdown.bucket,
        "units": to_decimal(drawdown.units),
        "remaining": to_decimal(drawdown.remaining),
        "rolled": to_decimal(drawdown.rolled),
        "expired": to_decimal(drawdown.expired),
    }


def drawdown_of(fields: dict[str, Any]) -> Drawdown:
    """Return the drawdown that decoded fields describe."""
    bucket, *numbers = (fields[name] for name in Drawdown._fields)
    return Drawdown(bucket, *map(from_decimal, numbers))
