"""`tollbook usage`: publish usage events from files."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.documents.usage import parse_usage, read_json
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.source_keys import signing_key
from engine.entrypoints.cli import usage_normalise
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    kafka,
    print_rows,
    progress_bar,
    read_lines,
    say,
)
from engine.entrypoints.cli.usage_backfill import Backfill, publish_file
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
)
from engine.gateway.normalise import Context
from engine.rating.errors import InvalidDocument, Refusal

app = typer.Typer(help="Usage events: what gateways publish.", no_args_is_help=True)
app.command("normalise")(usage_normalise.normalise)


@app.callback()
def usage() -> None:
    """Usage events: what gateways publish."""


@app.command()
def publish(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="One JSON object a line; - is stdin.")
    ],
    form: Annotated[
        str | None,
        typer.Option("--from", help="The files hold raw records of this format, or auto."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="With --from: from the start, not from the position.")
    ] = False,
    account: Account = "",
    source: Source = "",
    subject: Subject = "",
    occurred_at: OccurredAt = "",
    provider: Provider = "",
    operation: Operation = "",
    model: Model = "",
    id_prefix: IdPrefix = "",
    pass_through_cost: PassThroughCost = False,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Keys by source; records are signed with the first of --source."),
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish usage events, batched by partition, acknowledged by Kafka before this returns.

    A line that is no usage event is told on stderr and not published; the others are. Publishing
    a file again is safe: each event is charged once.
    Where sources sign, --source and --key-file sign every record; publish each source's file apart.

    With --from, lines are raw records of a gateway or provider, made usage events as `usage
    normalise` makes them (its options say what records do not). How far a file was published is
    kept beside it, in FILE.position: a backfill that was broken off goes on where Kafka last
    acknowledged, and a file that grew where it grew. Another file in its place is told, and read
    from its start.

    Example: tollbook usage publish usage.jsonl

    Exit codes: 0 all published; 1 Kafka did not acknowledge; 4 some lines were not usage events.
    """
    counts: Counter[str] = Counter()
    context = Context(
        account_id=account,
        source=source,
        subject=subject,
        occurred_at=occurred_at,
        provider=provider,
        operation=operation,
        model=model,
        pass_through_cost=pass_through_cost,
    )
    if id_prefix and len(files) > 1:
        raise InvalidDocument("--id-prefix", id_prefix, "one FILE: lines of two have one number")
    backfill = _backfill(form, context, id_prefix, again=again)
    key = None if key_file is None else signing_key(key_file, source, "--key-file")
    with KafkaPublisher(kafka(bootstrap), signing_key=key) as publisher:
        for file in files:
            if backfill is None:
                counts += _publish_events(publisher, file)
            else:
                counts += publish_file(publisher, file, backfill)
    columns = _COLUMNS if backfill is None else _COLUMNS_OF_RECORDS
    summary = {column: counts[column] for column in columns}
    print_rows(columns, [summary], as_json=as_json, numbers=" ".join(columns))
    if counts["refused"]:
        raise typer.Exit(EXIT_REJECTED)


def _backfill(
    form: str | None, context: Context, id_prefix: str, *, again: bool
) -> Backfill | None:
    """Return how raw records become usage; None for files that hold usage events already."""
    if form is not None:
        return Backfill(check_format(form), context, id_prefix, again)
    if again or id_prefix or context != Context(source=context.source):
        raise InvalidDocument("--from", None, "a format: the other options are for raw records")
    return None


_COLUMNS = ("published", "refused")
_COLUMNS_OF_RECORDS = ("published", "not_charged", "refused")


def _publish_events(publisher: KafkaPublisher, file: Path) -> Counter[str]:
    """Publish a file of usage events; return counts of published and refused."""
    counts: Counter[str] = Counter()
    with progress_bar("publishing", None) as progress:
        for number, text in read_lines(file):
            data = read_json(text)
            fields = data if isinstance(data, Refusal) else parse_usage(data)
            if isinstance(fields, Refusal):
                say(f"{file}:{number}: {fields.code}: {fields.explanation}")
                counts["refused"] += 1
            else:
                publisher.usage(fields)
                counts["published"] += 1
            progress(1)
    return counts
