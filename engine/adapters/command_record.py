"""A record of the accounts topic as an account command, or why it is none."""

from engine.adapters.avro.account import command_of
from engine.adapters.avro.wire import Decoded, decode
from engine.adapters.usage_record import refuse_size
from engine.ports import LogRecord
from engine.rating.command import AccountCommand
from engine.rating.errors import Refusal


def read_command_record(record: LogRecord) -> AccountCommand | Refusal:
    """Return the command in a record of the `accounts` topic."""
    decoded = refuse_size(record) or decode(record.value)
    if not isinstance(decoded, Decoded):
        return decoded
    if decoded.name != "account_command":
        return Refusal(
            "wrong_record_type", f"value: got a {decoded.name}, expected an account_command"
        )
    return command_of(decoded.fields)
