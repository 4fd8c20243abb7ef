"""`tollbook usage`: publish usage events from files."""

from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.documents.usage import parse_usage, read_json
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.signing import read_keys
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
from engine.rating.errors import InvalidDocument, Refusal

app = typer.Typer(help="Usage events: what gateways publish.", no_args_is_help=True)


@app.callback()
def usage() -> None:
    """Usage events: what gateways publish."""


@app.command()
def publish(
    file: Annotated[Path, typer.Argument(help="Usage events, one JSON object a line; - is stdin.")],
    source: Annotated[
        str | None, typer.Option(help="With --key-file: the source that signs.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Keys by source; records are signed with the source's first."),
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish usage events, batched by partition, acknowledged by Kafka before this returns.

    A line that is no usage event is told on stderr and not published; the others are. Publishing
    a file again is safe: each event is charged once.
    Where sources sign, --source and --key-file sign every record; publish each source's file apart.

    Example: tollbook usage publish usage.jsonl

    Exit codes: 0 all published; 1 Kafka did not acknowledge; 4 some lines were not usage events.
    """
    published = refused = 0
    with (
        KafkaPublisher(kafka(bootstrap), signing_key=_signing_key(source, key_file)) as publisher,
        progress_bar("publishing", None) as progress,
    ):
        for number, text in read_lines(file):
            data = read_json(text)
            fields = data if isinstance(data, Refusal) else parse_usage(data)
            if isinstance(fields, Refusal):
                say(f"{file}:{number}: {fields.code}: {fields.explanation}")
                refused += 1
            else:
                publisher.usage(fields)
                published += 1
            progress(1)
    summary = {"published": published, "refused": refused}
    print_rows(tuple(summary), [summary], as_json=as_json, numbers="published refused")
    if refused:
        raise typer.Exit(EXIT_REJECTED)


def _signing_key(source: str | None, key_file: Path | None) -> bytes | None:
    """Return the key that signs; None without a key file. InvalidDocument if it has none."""
    if key_file is None:
        return None
    keys = read_keys(key_file).get(source or "", ())
    if not keys:
        raise InvalidDocument(f"--key-file {key_file}", "no key", f"one of --source {source!r}")
    return keys[0]
