"""`tollbook schema`: the JSON Schema of each record's JSON form."""

import json
from typing import Annotated

import typer

import schemas
from engine.entrypoints.cli.common import not_found


def schema(
    name: Annotated[
        str | None, typer.Argument(help="A record; without it, the names are listed.")
    ] = None,
    avro: Annotated[bool, typer.Option("--avro", help="Print the Avro schema instead.")] = False,
) -> None:
    """Print the JSON Schema of a record's JSON form (the document: `tollbook tariff schema`).

    Example: tollbook schema charge_event

    Exit codes: 0 printed; 3 there is no such record.
    """
    if name is None:
        for known in schemas.NAMES:
            typer.echo(known)
    elif name in schemas.NAMES:
        declared = schemas.latest(name).declared
        typer.echo(json.dumps(declared if avro else schemas.json_schema(declared), indent=2))
    else:
        raise not_found(f"schema: got {name!r}, expected one of {', '.join(schemas.NAMES)}")
