"""A record of the accounts topic: what is asked of an account, or of all, or why it is neither."""

from engine.adapters.avro.account import advance_of, command_of
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.usage_record import refuse_size
from engine.ports import LogRecord
from engine.rating.command import AccountCommand, AdvanceTo
from engine.rating.errors import Refusal


def read_order_record(record: LogRecord) -> AccountCommand | AdvanceTo | Refusal:
    """Return the command, or the passing of time, in a record of the `accounts` topic."""
    decoded = refuse_size(record) or decode(record.value)
    if not isinstance(decoded, Decoded):
        return decoded
    if _is_endless(decoded.fields):
        return Refusal(
            "amount_out_of_range",
            f"{decoded.name}: expected numbers of {_MOST_BYTES} bytes at most",
        )
    if decoded.name == "advance_to":
        return advance_of(decoded.fields)
    if decoded.name == "account_command":
        return command_of(decoded.fields)
    return Refusal(
        "wrong_record_type",
        f"value: got a {decoded.name}, expected an account_command or advance_to",
    )


_MOST_BYTES = 24
"""Of a decimal: more than any amount needs, and Avro bounds none."""


def _is_endless(value: object) -> bool:
    """Whether a decimal stands anywhere in decoded fields that no amount can be."""
    if isinstance(value, bytes):
        return len(value) > _MOST_BYTES
    if isinstance(value, dict):
        return any(map(_is_endless, value.values()))
    return isinstance(value, list | tuple) and any(map(_is_endless, value))
