"""Account commands, and the passing of time, to bytes and back."""

from typing import Any

from engine.adapters.avro.grant import grant_fields, grant_of, limit_fields, limit_of
from engine.adapters.avro.wire import decode, encode, from_decimal, qualified, to_decimal
from engine.rating.command import (
    AccountCommand,
    Adjust,
    AdoptVersion,
    AdvanceTo,
    Approve,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    Order,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.errors import InvalidDocument, Refusal
from engine.rating.period import FrozenZone
from schemas.loader import latest

_SCHEMA = latest("account_command")
_ADVANCE = latest("advance_to")


def encode_command(command: AccountCommand) -> bytes:
    """Return an account command in single-object encoding."""
    order = command.order
    return encode(
        _SCHEMA,
        {**command._asdict(), "command": (qualified(type(order).__name__), _order_fields(order))},
    )


def _order_fields(order: Order) -> dict[str, Any]:
    if isinstance(order, OpenAccount):
        zone = zone_fields(order.zone)
        return {"currency": order.currency, **zone, "close_grace": order.close_grace}
    if isinstance(order, IssueGrant):
        return {"grant": grant_fields(order.grant)}
    if isinstance(order, SetLimit):
        return {"limit": limit_fields(order.limit)}
    if isinstance(order, RechargeBucket | Adjust):
        return {**order._asdict(), "amount": to_decimal(order.amount)}
    return order._asdict()


def command_of(fields: dict[str, Any]) -> AccountCommand | Refusal:
    """Return the account command that decoded fields describe, or why it is none."""
    full_name, order_fields = fields["command"]
    try:
        order = _order_of(full_name.rpartition(".")[2], order_fields)
    except InvalidDocument as error:
        return Refusal("invalid_grant", str(error))
    return AccountCommand(
        fields["command_id"],
        fields["account_id"],
        fields["principal"],
        order,
        fields["needs_approval"],
    )


def _order_of(name: str, fields: dict[str, Any]) -> Order:
    if name == "OpenAccount":
        return OpenAccount(fields["currency"], zone_of(fields), fields["close_grace"])
    if name == "IssueGrant":
        return IssueGrant(grant_of(fields["grant"]))
    if name == "SetLimit":
        return SetLimit(limit_of(fields["limit"]))
    if name == "RechargeBucket":
        return RechargeBucket(fields["bucket"], from_decimal(fields["amount"]), fields["unit"])
    if name == "Adjust":
        return Adjust(**{**fields, "amount": from_decimal(fields["amount"])})
    return _PLAIN_ORDERS[name](**fields)


_PLAIN_ORDERS: dict[str, type[AssignTariff | ClosePeriod | VoidGrant | AdoptVersion | Approve]] = {
    order.__name__: order for order in (AssignTariff, ClosePeriod, VoidGrant, AdoptVersion, Approve)
}


def encode_awaiting(command_id: str, account_id: str, principal: str, order: Order) -> bytes:
    """Return a command that waits for approval, as it is kept inside other records."""
    command = AccountCommand(command_id, account_id, principal, order, needs_approval=True)
    return encode_command(command)


def awaiting_of(data: bytes) -> AccountCommand:
    """Return the command that was kept inside another record. InvalidDocument if it is none."""
    decoded = decode(data)
    if not isinstance(decoded, Refusal) and decoded.name == "account_command":
        command = command_of(decoded.fields)
        if isinstance(command, AccountCommand):
            return command
    raise InvalidDocument("order", decoded, "an account_command")


def encode_advance(advance: AdvanceTo) -> bytes:
    """Return the passing of time in single-object encoding."""
    return encode(_ADVANCE, advance._asdict())


def advance_of(fields: dict[str, Any]) -> AdvanceTo:
    """Return the passing of time that decoded fields describe."""
    return AdvanceTo(**fields)


def zone_fields(zone: FrozenZone) -> dict[str, Any]:
    """Return a frozen zone as the fields `time_zone` and `time_zone_transitions`."""
    return {
        "time_zone": zone.name,
        "time_zone_transitions": [
            {"at": at, "offset_seconds": offset}
            for at, offset in zip(zone.instants, zone.offsets, strict=True)
        ],
    }


def zone_of(fields: dict[str, Any]) -> FrozenZone:
    """Return the frozen zone in `time_zone` and `time_zone_transitions`."""
    rows = fields["time_zone_transitions"]
    return FrozenZone(
        fields["time_zone"],
        tuple(row["at"] for row in rows),
        tuple(row["offset_seconds"] for row in rows),
    )
