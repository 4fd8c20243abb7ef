"""What the demo streams: a real request trace, a real price list, and some trouble.

The trace (Azure LLM inference 2023, code; CC-BY-4.0) and the price list (MIT) stand in the
repository's tests/data, with their sources.
"""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from engine.adapters.avro.usage import DEFAULTS, NO_QUANTITIES, Fields
from engine.adapters.price_list import import_price_list
from engine.rating.command import AccountCommand, AssignTariff, OpenAccount, Order
from engine.rating.errors import InvalidDocument
from engine.rating.period import FIRST_INSTANT, UTC_ZONE, instant
from engine.rating.tariff import TariffVersion
from engine.rating.usage import identity_key

ACCOUNTS = 50
TARIFF_ID = "list-prices"
_DUPLICATES = 200
_DATA = Path(__file__).parents[2] / "tests" / "data"

GARBAGE = (
    ("tenant-01", b""),
    ("tenant-02", b"\x00\x00\x00\x00\x07confluent"),
    ("tenant-03", b"{not json"),
    ("tenant-04", b"\xc3\x01\x00\x00\x00\x00\x00\x00\x00\x00"),
    ("tenant-05", b"hello"),
    ("tenant-06", b"\xff" * 64),
    ("tenant-07", b'{"specversion": "1.0"}'),
)
"""Records that are no usage: (key, value)."""


class DemoStream(NamedTuple):
    """The usage events to publish, in order."""

    events: list[Fields]

    @staticmethod
    def charge_id(event: Fields) -> str:
        """Return the id of an event's charge."""
        return identity_key(event["account_id"], event["source"], event["event_id"])


def demo_tariff() -> TariffVersion:
    """Return gpt-4o's prices from the real price list as a tariff version."""
    imported = import_price_list(
        _read("model_prices.json").decode(),
        tariff_id=TARIFF_ID,
        version=1,
        effective_from=datetime(2023, 1, 1, tzinfo=UTC),
        models=("gpt-4o",),
    )
    return imported.version


def demo_commands() -> list[AccountCommand]:
    """Return the commands that open the accounts and put them on the tariff."""
    commands = []
    for number in range(ACCOUNTS):
        account_id = account_of(number)
        orders: tuple[Order, ...] = (
            OpenAccount("USD", UTC_ZONE),
            AssignTariff(TARIFF_ID, FIRST_INSTANT, None),
        )
        commands += [
            AccountCommand(f"{account_id}/{index}", account_id, "demo", order)
            for index, order in enumerate(orders)
        ]
    return commands


def account_of(row: int) -> str:
    """Return the account that a row of the trace belongs to."""
    return f"tenant-{row % ACCOUNTS + 1:02d}"


def demo_stream() -> DemoStream:
    """Return the trace's requests with some sent twice, and one sent with another content."""
    events = [_event(row, *request) for row, request in enumerate(_requests())]
    repeated = events[:: len(events) // _DUPLICATES][:_DUPLICATES]
    conflict = {**events[7], "quantities": {**events[7]["quantities"], "output": 1}}
    return DemoStream([*events, *repeated, conflict])


def _requests() -> list[tuple[int, int, int]]:
    """Return (time of use in us UTC, input tokens, output tokens) of each request."""
    text = gzip.decompress(_read("traces/azure_llm_2023_code.csv.gz")).decode()
    return [
        (
            # The trace gives 100 ns; the engine's instants are whole microseconds.
            instant(datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC)),
            int(row["ContextTokens"]),
            int(row["GeneratedTokens"]),
        )
        for row in csv.DictReader(text.splitlines())
    ]


def _event(row: int, occurred_at: int, tokens_in: int, tokens_out: int) -> Fields:
    return {
        **DEFAULTS,
        "account_id": account_of(row),
        "source": "gateway-demo",
        "event_id": f"azure_llm_2023_code/{row}",
        "occurred_at": occurred_at,
        "provider": "openai",
        "model": "gpt-4o",
        "quantities": {**NO_QUANTITIES, "input": tokens_in, "output": tokens_out},
    }


def _read(name: str) -> bytes:
    path = _DATA / name
    if not path.is_file():
        raise InvalidDocument(str(path), "nothing", "the data of a clone of the repository")
    return path.read_bytes()
