"""Request traces of real services: who asked for how many tokens, and when.

`input` is the whole context of a request and `cached` the part of it that a prefix cache held, so
the usage of a row is input - cached, cached and output. The Mooncake trace names the 512-token
blocks that a prompt starts with; its cached input is what an unlimited shared cache would have held
at that row: the leading blocks that stood in any earlier row.
"""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from engine.rating.period import instant

FOLDER = Path(__file__).parent
TRACES = FOLDER / "traces"
AZURE_CODE = "azure_llm_2023_code.csv.gz"
MOONCAKE = "mooncake_fast25_synthetic.jsonl.gz"
MOONCAKE_START = datetime(2026, 10, 1, 12, tzinfo=UTC)
"""The trace counts from zero; the day is ours."""

_BLOCK_TOKENS = 512


class TraceRow(NamedTuple):
    """One request: its row from 1, its time in us UTC, and tokens (`cached` is part of `input`)."""

    row: int
    occurred_at: int
    input: int
    cached: int
    output: int


def azure_code_rows() -> Iterator[TraceRow]:
    """Yield the Azure code trace; nothing in it is cached."""
    with gzip.open(TRACES / AZURE_CODE, "rt", encoding="utf-8", newline="") as file:
        for row, fields in enumerate(csv.DictReader(file), start=1):
            microseconds = fields["TIMESTAMP"][: len("2023-11-16 18:17:03.979960")]
            moment = datetime.fromisoformat(microseconds).replace(tzinfo=UTC)
            yield TraceRow(
                row,
                instant(moment),
                int(fields["ContextTokens"]),
                0,
                int(fields["GeneratedTokens"]),
            )


def mooncake_rows() -> Iterator[TraceRow]:
    """Yield the Mooncake trace, with the input that a prefix cache would have held."""
    seen: set[int] = set()
    with gzip.open(TRACES / MOONCAKE, "rt", encoding="utf-8") as file:
        for row, line in enumerate(file, start=1):
            fields = json.loads(line)
            length, blocks = fields["input_length"], fields["hash_ids"]
            known = 0
            while known < len(blocks) and blocks[known] in seen:
                known += 1
            seen.update(blocks)
            moment = MOONCAKE_START + timedelta(milliseconds=fields["timestamp"])
            cached = min(length, known * _BLOCK_TOKENS)
            yield TraceRow(row, instant(moment), length, cached, fields["output_length"])
