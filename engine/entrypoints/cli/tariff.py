"""`tollbook tariff`: publish, list and show versions, and the schema of what people write.

Beside it: `tariff_checks` (validate), `tariff_diff`, `tariff_compare`, `price_lists`.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.adapters.documents.tariff import TariffDocument
from engine.adapters.documents.writing import tariff_yaml
from engine.adapters.kafka.publisher import KafkaPublisher
from engine.adapters.tariff_log import TariffLog
from engine.entrypoints.checking import read_version
from engine.entrypoints.cli.common import (
    AsJson,
    Bootstrap,
    kafka,
    not_found,
    opened_log,
    parse_time,
    print_rows,
)
from engine.rating.errors import InvalidDocument
from engine.rating.language import require_language
from engine.rating.period import format_instant
from engine.rating.tariff import TariffVersion
from engine.rating.tariff_book import TariffBook
from engine.settings import KafkaSettings

app = typer.Typer(help="Tariff versions: immutable, effective-dated.", no_args_is_help=True)


def read_tariffs(settings: KafkaSettings) -> TariffLog:
    """Return everything that was published."""
    with opened_log(settings) as log:
        if not log.partitions("tariffs"):
            raise InvalidDocument("topic tariffs", "none", "the topics of `tollbook topics create`")
        tariffs = TariffLog(log)
        tariffs.read_all()
        return tariffs


def read_book(settings: KafkaSettings) -> TariffBook:
    """Return every published version."""
    return read_tariffs(settings).book


def publish_version(settings: KafkaSettings, version: TariffVersion) -> bool:
    """Publish a version; False if this very version was published before."""
    tariffs = read_tariffs(settings)
    earlier = [known.version for known in tariffs.book.versions(version.tariff_id)]
    if any(known.digest == version.digest for known in earlier):
        return False
    require_language(version, tariffs.authority.rules)
    tariffs.book.check(version)
    with KafkaPublisher(settings) as publisher:
        publisher.tariff(version)
    return True


@app.command()
def publish(file: Path, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Publish a tariff version from a YAML or JSON file. Publishing it again changes nothing.

    A component or promotion that no usage could ever meet is refused, with an event that shows it.

    Example: tollbook tariff publish business.yaml

    Exit codes: 0 published, now or before; 1 the file breaks a rule or the version may not follow.
    """
    version = read_version(file)
    report_version(version, published=publish_version(kafka(bootstrap), version), as_json=as_json)


def report_version(version: TariffVersion, *, published: bool, as_json: bool) -> None:
    """Print what became of a version that was to be published."""
    row = {
        "tariff_id": version.tariff_id,
        "version": version.version,
        "digest": version.digest.hex(),
        "components": len(version.components),
        "state": "published" if published else "was published before",
    }
    print_rows(tuple(row), [row], as_json=as_json, numbers="version components")


@app.command("list")
def list_versions(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List all published versions.

    Example: tollbook tariff list --json

    Exit codes: 0 listed; 1 Kafka does not answer.
    """
    book = read_book(kafka(bootstrap))
    columns = ("tariff_id", "version", "effective_from", "effective_to", "currency", "components")
    rows = [
        {
            "tariff_id": known.version.tariff_id,
            "version": known.version.version,
            "effective_from": format_instant(known.version.effective_from),
            "effective_to": ""
            if (end := known.version.effective_to) is None
            else format_instant(end),
            "currency": known.version.currency,
            "components": len(known.version.components),
            "offset": known.offset,
            "digest": known.version.digest.hex(),
        }
        for tariff_id in book.tariff_ids()
        for known in book.versions(tariff_id)
    ]
    print_rows(columns, rows, as_json=as_json, numbers="version components")


@app.command()
def show(
    tariff_id: str,
    number: Annotated[
        int | None, typer.Option("--version", help="The newest, if left out.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="The version in force at this time.")] = None,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print YAML to edit and publish again.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the canonical form: what the digest is of.")
    ] = False,
    bootstrap: Bootstrap = None,
) -> None:
    """Show one version, as JSON in its canonical form unless --yaml is given.

    Either form, published again, is the same version: the digest stays.

    Example: tollbook tariff show business --at 2026-11-24T00:00:00Z --yaml

    Exit codes: 0 shown; 3 there is no such version.
    """
    if as_yaml and as_json:
        raise typer.BadParameter("give --yaml or --json, not both")
    book = read_book(kafka(bootstrap))
    known = book.versions(tariff_id)
    moment = parse_time(at, "--at")
    if moment is not None and number is not None:
        raise typer.BadParameter("give --version or --at, not both")
    if moment is not None and known:
        numbers = tuple(entry.version.version for entry in known)
        in_force = book.in_force(tariff_id, numbers, moment)
        known = [in_force] if in_force else []
    elif number is not None:
        known = [entry for entry in known if entry.version.version == number]
    if not known:
        raise not_found(f"tariff {tariff_id}: no such version; see `tollbook tariff list`")
    version = known[-1].version
    if as_yaml:
        typer.echo(tariff_yaml(version), nl=False)
    else:
        typer.echo(json.dumps(json.loads(version.document), indent=2, ensure_ascii=False))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the tariff document, for editors.

    Example: tollbook tariff schema > tariff.schema.json

    Exit codes: 0 printed.
    """
    declared = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TariffDocument.model_json_schema(),
    }
    typer.echo(json.dumps(declared, indent=2))
