"""`tollbook rules`: the revision of the rating rules that a deployment has adopted."""

from typing import Annotated

import typer

from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.tariff_log import TariffLog
from engine.entrypoints.cli.common import AsJson, Bootstrap, kafka, opened_log, print_rows
from engine.rating.errors import InvalidDocument
from engine.rating.rules import LATEST_REVISION, check_revision

app = typer.Typer(help="Revisions of the rating rules.", no_args_is_help=True)


@app.command()
def show(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show the revision that counts, and the latest one that this program knows.

    Example: tollbook rules show

    Exit codes: 0 shown; 1 Kafka does not answer, or a later revision is adopted than known here.
    """
    _print(_adopted(bootstrap), as_json=as_json)


@app.command()
def adopt(
    revision: Annotated[int, typer.Argument(help="See docs/reference/rules.md.")],
    principal: Annotated[str, typer.Option(help="Who asks, for the record.")] = "",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Adopt a revision for usage decided from now on. Upgrade every worker first: there is no way back.

    Example: tollbook rules adopt 2

    Exit codes: 0 written; 1 the revision is not known, or lower than the one that counts.
    """
    check_revision(revision, "revision")
    adopted = _adopted(bootstrap)
    if revision < adopted:
        raise InvalidDocument("revision", revision, f"{adopted} or later: rules never go back")
    with KafkaPublisher(kafka(bootstrap)) as publisher:
        publisher.rules(revision, principal)
    _print(revision, as_json=as_json)


def _adopted(bootstrap: str | None) -> int:
    with opened_log(kafka(bootstrap)) as log:
        tariffs = TariffLog(log)
        tariffs.read_all()
    return tariffs.authority.rules


def _print(adopted: int, *, as_json: bool) -> None:
    row = {"adopted": adopted, "latest_known": LATEST_REVISION}
    print_rows(tuple(row), [row], as_json=as_json, numbers="adopted latest_known")
