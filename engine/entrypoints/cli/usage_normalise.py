"""`tollbook usage normalise`: raw records of gateways and providers in, usage events out."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    print_json,
    progress_bar,
    read_lines,
    say,
)
from engine.entrypoints.cli.usage_records import (
    Account,
    IdPrefix,
    Model,
    OccurredAt,
    Operation,
    PassThroughCost,
    Provider,
    Source,
    Subject,
    check_format,
    normalise_line,
    of_line,
)
from engine.gateway.normalise import Context, Unusable


def normalise(
    file: Annotated[
        Path | None, typer.Argument(help="Records, one JSON object a line; - or none is stdin.")
    ] = None,
    form: Annotated[
        str, typer.Option("--from", help="The format of the records, or auto.")
    ] = "auto",
    account: Account = "",
    source: Source = "",
    subject: Subject = "",
    occurred_at: OccurredAt = "",
    provider: Provider = "",
    operation: Operation = "",
    model: Model = "",
    id_prefix: IdPrefix = "",
    pass_through_cost: PassThroughCost = False,
) -> None:
    """Turn raw records into usage events: one JSON object a line, in the order of the records.

    Formats and what becomes of their fields: docs/reference/gateway-formats.md. An error response
    is not charged. A line that can not be understood is told on stderr with its number; what a
    record says twice and differently is kind unexplained.

    Example: tollbook usage normalise --from litellm spend.jsonl | tollbook usage publish -

    Exit codes: 0 all understood; 1 a file can not be read; 4 some lines could not be understood.
    """
    check_format(form)
    given = Context(
        account_id=account,
        source=source,
        subject=subject,
        occurred_at=occurred_at,
        provider=provider,
        operation=operation,
        model=model,
        pass_through_cost=pass_through_cost,
    )
    counts: Counter[str] = Counter()
    with progress_bar("normalising", None) as progress:
        for number, text in read_lines(file):
            try:
                found = normalise_line(text, form, of_line(given, id_prefix, number))
            except Unusable as unusable:
                say(f"{file or '-'}:{number}: {unusable}")
                counts["unusable"] += 1
            else:
                for event in found.events:
                    print_json(event)
                counts["events"] += len(found.events)
                if found.not_charged:
                    counts[f"not charged: {found.not_charged}"] += 1
            progress(1)
    say(", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "no records")
    if counts["unusable"]:
        raise typer.Exit(EXIT_REJECTED)
