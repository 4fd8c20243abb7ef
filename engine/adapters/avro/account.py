"""Account commands to bytes and back."""

from typing import Any

from engine.adapters.avro.wire import encode, qualified
from engine.rating.command import AccountCommand, AssignTariff, ClosePeriod, OpenAccount, Order
from engine.rating.period import FrozenZone
from schemas.loader import latest

_SCHEMA = latest("account_command")


def encode_command(command: AccountCommand) -> bytes:
    """Return an account command in single-object encoding."""
    order = command.order
    if isinstance(order, OpenAccount):
        zone = zone_fields(order.zone)
        fields = {"currency": order.currency, **zone, "close_grace": order.close_grace}
    else:
        fields = order._asdict()
    return encode(
        _SCHEMA,
        {
            "command_id": command.command_id,
            "account_id": command.account_id,
            "principal": command.principal,
            "command": (qualified(type(order).__name__), fields),
        },
    )


def command_of(fields: dict[str, Any]) -> AccountCommand:
    """Return the account command that decoded fields describe."""
    full_name, order_fields = fields["command"]
    order: Order
    if full_name == qualified("OpenAccount"):
        order = OpenAccount(
            order_fields["currency"], zone_of(order_fields), order_fields["close_grace"]
        )
    elif full_name == qualified("ClosePeriod"):
        order = ClosePeriod(**order_fields)
    else:
        order = AssignTariff(**order_fields)
    return AccountCommand(fields["command_id"], fields["account_id"], fields["principal"], order)


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
