"""Charge events to bytes and back."""

from typing import Any

from engine.adapters.avro.wire import encode, from_decimal, to_decimal
from engine.rating.charge import Charge, Drawdown, Line, Repricing, TariffReference
from engine.rating.price import Slice
from engine.rating.usage import Position
from schemas.loader import latest

_SCHEMA = latest("charge_event")


def encode_charge(charge: Charge) -> bytes:
    """Return a charge event in single-object encoding."""
    return encode(_SCHEMA, charge_fields(charge))


def charge_fields(charge: Charge) -> dict[str, Any]:
    """Return a charge event as the fields of its schema."""
    tariff, cost = charge.tariff, charge.supplier_cost
    return {
        "charge_id": charge.charge_id,
        "kind": charge.kind,
        "account_id": charge.account_id,
        "subject": charge.subject,
        "sequence": charge.sequence,
        "usage": {
            "source": charge.source,
            "event_id": charge.event_id,
            "digest": charge.digest,
            "position": position_fields(charge.position),
        },
        "occurred_at": charge.occurred_at,
        "received_at": charge.received_at,
        "service_period": charge.service_period,
        "provider": charge.provider,
        "model": charge.model,
        "operation": charge.operation,
        "service_tier": charge.service_tier,
        "region": charge.region,
        "tariff": tariff and tariff._asdict(),
        "rules": charge.rules,
        "currency": charge.currency,
        "lines": [_line_fields(line) for line in charge.lines],
        "drawdowns": [
            {
                "bucket": drawdown.bucket,
                "units": to_decimal(drawdown.units),
                "remaining": to_decimal(drawdown.remaining),
            }
            for drawdown in charge.drawdowns
        ],
        "amount": to_decimal(charge.amount),
        "supplier_cost": None if cost is None else to_decimal(cost),
        "corrects": charge.corrects,
        "trace_id": charge.trace_id,
        "parent_event_id": charge.parent_event_id,
        "initiator": charge.initiator,
        "due": to_decimal(charge.due),
    }


def _line_fields(line: Line) -> dict[str, Any]:
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
            }
            for change in line.repricings
        ],
        "amount": None if line.amount is None else to_decimal(line.amount),
        "status": line.status,
        "reason": line.reason,
    }


def charge_of(fields: dict[str, Any]) -> Charge:
    """Return the charge event that decoded fields describe."""
    usage, tariff, cost = fields["usage"], fields["tariff"], fields["supplier_cost"]
    return Charge(
        charge_id=fields["charge_id"],
        kind=fields["kind"],
        account_id=fields["account_id"],
        subject=fields["subject"],
        sequence=fields["sequence"],
        source=usage["source"],
        event_id=usage["event_id"],
        digest=usage["digest"],
        position=Position(**usage["position"]),
        occurred_at=fields["occurred_at"],
        received_at=fields["received_at"],
        service_period=fields["service_period"],
        provider=fields["provider"],
        model=fields["model"],
        operation=fields["operation"],
        service_tier=fields["service_tier"],
        region=fields["region"],
        tariff=tariff and TariffReference(**tariff),
        rules=fields["rules"],
        currency=fields["currency"],
        lines=tuple(_line_of(line) for line in fields["lines"]),
        drawdowns=tuple(
            Drawdown(row["bucket"], from_decimal(row["units"]), from_decimal(row["remaining"]))
            for row in fields["drawdowns"]
        ),
        amount=from_decimal(fields["amount"]),
        supplier_cost=None if cost is None else from_decimal(cost),
        corrects=fields["corrects"],
        trace_id=fields["trace_id"],
        parent_event_id=fields["parent_event_id"],
        initiator=fields["initiator"],
        due=from_decimal(fields["due"]),
    )


def _line_of(fields: dict[str, Any]) -> Line:
    amount = fields["amount"]
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
            )
            for change in fields["repricings"]
        ),
        None if amount is None else from_decimal(amount),
        fields["status"],
        fields["reason"],
    )


def position_fields(position: Position) -> dict[str, Any]:
    """Return a position as the fields of its schema."""
    return {
        "topic": position.topic,
        "partition": position.partition,
        "offset": position.offset,
        "index": position.index,
    }
