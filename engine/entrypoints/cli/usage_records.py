"""Raw records in a file: the options that say what the records do not, and one line read."""

from typing import Annotated

import typer

from engine.adapters.documents.usage import read_json
from engine.gateway.normalise import FORMATS, Context, Normalised, Unusable, normalise
from engine.rating.errors import InvalidDocument, Refusal

Account = Annotated[
    str, typer.Option("--account", help="Who pays for all of it; else what the gateway's key says.")
]
Source = Annotated[
    str, typer.Option("--source", help="The source of all of it; else the format's name.")
]
Subject = Annotated[str, typer.Option("--subject", help="The login, key or agent of all of it.")]
OccurredAt = Annotated[
    str, typer.Option("--occurred-at", help="Time of use of all of it, for bodies without a time.")
]
Provider = Annotated[str, typer.Option("--provider", help="The provider of all of it.")]
Operation = Annotated[str, typer.Option("--operation", help="The operation of all of it.")]
Model = Annotated[str, typer.Option("--model", help="The model of records that name none.")]
IdPrefix = Annotated[
    str,
    typer.Option(
        "--id-prefix",
        help="Event ids for bodies without an id: this and the line number. Unique to the file.",
    ),
]
PassThroughCost = Annotated[
    bool,
    typer.Option("--pass-through-cost", help="OpenRouter: what it charged, as a quantity too."),
]


def check_format(name: str) -> str:
    """Return a format's name. InvalidDocument for one that there is not."""
    if name not in ("auto", *FORMATS):
        raise InvalidDocument("--from", name, f"auto or one of {', '.join(FORMATS)}")
    return name


def normalise_line(text: str | bytes, form: str, context: Context) -> Normalised:
    """Return the usage events of one line of JSON. Raises Unusable."""
    data = read_json(text)
    if isinstance(data, Refusal):
        place, _, rest = data.explanation.partition(":")
        raise Unusable(place, rest.strip(), "a JSON object on one line")
    return normalise(data, form, context)


def of_line(context: Context, id_prefix: str, number: int) -> Context:
    """Return the context of a line: with an id from its number for a record that has none."""
    return context._replace(spare_event_id=f"{id_prefix}{number}") if id_prefix else context
