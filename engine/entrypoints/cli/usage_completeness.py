"""`tollbook usage completeness`: whether all that publishers took has arrived in Kafka."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from engine.adapters.usage_record import read_usage_record
from engine.entrypoints.cli.common import (
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    not_found,
    print_rows,
    progress_bar,
)
from engine.entrypoints.cli.evidence import FromArchive, opened_evidence
from engine.gateway.completeness import Arrivals, Completeness
from engine.ports import RecordLog, TopicPartition
from engine.rating.errors import Refusal

_SHOWN_GAPS = 5


def completeness(
    publisher: Annotated[
        str, typer.Option(help="Of this publisher alone: its name, or how it begins.")
    ] = "",
    archive: FromArchive = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Prove that nothing was lost between publishers and Kafka: their numbers have no gap.

    Reads the whole usage topic; of one that was pruned, the archive too. A publisher numbers what it takes; a number that is missing below
    one that arrived is lost, or under way: while gateways publish, look again a minute later.
    Duplicates are deliveries after a fault, and are charged once.

    Example: tollbook usage completeness --publisher gateway-1

    Exit codes: 0 no gaps; 1 the topic could not be read; 3 no such publisher; 4 there are gaps.
    """
    with opened_evidence(bootstrap, archive) as (log, partitions):
        found = [
            arrivals.judge(name)
            for name, arrivals in sorted(_arrivals(log, partitions).items())
            if name.startswith(publisher)
        ]
    if publisher and not found:
        raise not_found(f"publisher {publisher}: no event of it has arrived")
    print_rows(
        ("publisher", "events", "last_sequence", "duplicates", "missing", "gaps"),
        [_row(each, as_json=as_json) for each in found],
        as_json=as_json,
        numbers="events last_sequence duplicates missing",
    )
    if any(each.gaps for each in found):
        raise typer.Exit(EXIT_REJECTED)


def _arrivals(log: RecordLog, count: int) -> Mapping[str, Arrivals]:
    """Return what arrived by publisher; events without a publisher have no number."""
    partitions = [TopicPartition("usage", number) for number in range(count)]
    ends = log.ends(partitions)
    found: defaultdict[str, Arrivals] = defaultdict(Arrivals)
    with progress_bar("reading usage", sum(ends.values())) as progress:
        for partition in partitions:
            for record in log.read(partition, 0, ends[partition]):
                progress(1)
                events = read_usage_record(record)
                for fields in () if isinstance(events, Refusal) else events:
                    if not isinstance(fields, Refusal) and fields["publisher_sequence"]:
                        found[fields["publisher"]].add(fields["publisher_sequence"])
    return found


def _row(found: Completeness, *, as_json: bool) -> dict[str, Any]:
    if as_json:
        return {**found._asdict(), "gaps": [gap._asdict() for gap in found.gaps]}
    shown = [
        str(gap.first) if gap.first == gap.last else f"{gap.first}-{gap.last}"
        for gap in found.gaps[:_SHOWN_GAPS]
    ]
    more = len(found.gaps) - len(shown)
    return {**found._asdict(), "gaps": ", ".join(shown) + (f" and {more} more" if more else "")}
