"""`tollbook doctor`: what is wrong with a deployment, and what to do about it."""

import textwrap
from typing import Annotated

import typer
from kafka.errors import KafkaError

from engine.adapters.kafka.checking import check_deployment, refuse_unreachable
from engine.adapters.kafka.findings import Finding
from engine.adapters.local_checks import check_machine
from engine.entrypoints.cli.common import (
    EXIT_FAILED,
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    kafka,
    print_rows,
    say,
)
from engine.rating.errors import InvalidDocument
from engine.settings import KafkaSettings, home

_WIDTH = 100
_INDENT = 9
_WHERE = (
    "Start Kafka (to try Tollbook: tollbook broker start), or name its address, host:port, in "
    "TOLLBOOK_BOOTSTRAP, and how to sign in to it in TOLLBOOK_KAFKA_..."
)


def doctor(
    bootstrap: Bootstrap = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show what is well, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check this machine, Kafka, topics, settings, groups and disks, and say what to change.

    An error keeps a worker from starting, or from working; a warning costs time or safety. Only
    what is not well is shown, unless with --all. Nothing is changed.

    Example: tollbook doctor

    Exit codes: 0 no errors (there may be warnings); 1 Kafka does not answer; 4 something is wrong.
    """
    findings = list(check_machine(home()))
    answers = True
    try:
        findings += _findings_on_kafka(kafka(bootstrap))
    except (InvalidDocument, KafkaError) as error:
        answers = False
        findings.append(Finding("error", "Kafka", str(error), "a Kafka that answers", _WHERE))
    shown = [finding for finding in findings if show_all or finding.level != "ok"]
    if as_json:
        print_rows(Finding._fields, [finding._asdict() for finding in shown], as_json=True)
    else:
        typer.echo("\n".join(map(_paragraph, shown)), nl=bool(shown))
    levels = [finding.level for finding in findings]
    errors, warnings = levels.count("error"), levels.count("warning")
    say(f"{len(findings)} checks; errors: {errors}, warnings: {warnings}")
    if not answers:
        raise typer.Exit(EXIT_FAILED)
    if errors:
        raise typer.Exit(EXIT_REJECTED)


def _paragraph(finding: Finding) -> str:
    """Return a finding for people: what is, what should be, and below it what to do."""
    is_well = finding.level == "ok"
    expected = "" if is_well else f", expected {finding.expected}"
    first = f"{finding.level:{_INDENT}}{finding.place}: {finding.value}{expected}"
    advice = textwrap.wrap(finding.advice, _WIDTH - _INDENT, break_on_hyphens=False)
    return "\n".join([first, *(f"{'':{_INDENT}}{line}" for line in advice)])


def _findings_on_kafka(settings: KafkaSettings) -> list[Finding]:
    """Return what there is to say about the deployment. KafkaError if Kafka does not answer."""
    refuse_unreachable(settings)
    return check_deployment(settings)
