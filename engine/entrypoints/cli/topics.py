"""`tollbook topics`: the topics of a deployment."""

from typing import Annotated

import typer

from engine.adapters.kafka.founding import found_deployment
from engine.entrypoints.cli.common import AsJson, Bootstrap, kafka, print_rows

app = typer.Typer(help="The topics of a deployment.", no_args_is_help=True)


@app.callback()
def topics() -> None:
    """Create the topics of a deployment."""


@app.command()
def create(
    bootstrap: Bootstrap = None,
    partitions: Annotated[int, typer.Option(min=1, max=1000, help="Fixed for life.")] = 4,
    replication: Annotated[int, typer.Option(min=1, max=9, help="Copies of each record.")] = 1,
    to_any_source: Annotated[
        bool, typer.Option("--open", help="Take usage of any source (a new deployment, for demos).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing, with the settings that lose no data.

    A new deployment starts with the latest rating rules, and takes usage of registered sources only
    (`tollbook source register`), unless it is --open.

    Example: tollbook topics create --partitions 8 --replication 3

    Exit codes: 0 all there; 1 Kafka does not answer, or a topic has another partition count.
    """
    found = found_deployment(kafka(bootstrap), partitions, replication, to_any_source=to_any_source)
    rows = [
        {"topic": t.name, "partitions": t.partitions, "state": "created" if t.created else "there"}
        for t in found
    ]
    print_rows(("topic", "partitions", "state"), rows, as_json=as_json, numbers="partitions")
