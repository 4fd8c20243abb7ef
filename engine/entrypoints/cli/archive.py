"""`tollbook archive`: keep every input and the journal as Parquet, and prune Kafka behind it."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import structlog
import typer

from engine.adapters.kafka.log import KafkaLog
from engine.adapters.kafka.topics import cluster_id
from engine.entrypoints.cli.archive_kafka import committed_offsets, delete_before, first_offsets
from engine.entrypoints.cli.common import (
    EXIT_FAILED,
    EXIT_REJECTED,
    AsJson,
    Bootstrap,
    configure_logging,
    kafka,
    opened_log,
    partition_count,
    print_rows,
    progress_bar,
    say,
)
from engine.entrypoints.cli.stack import PROJECTOR_GROUP
from engine.settings import KafkaSettings
from replay.archive.archiver import Archived, Archiver, Limits
from replay.archive.compaction import compact
from replay.archive.folder import Archive, Identity
from replay.archive.log import ArchiveLog
from replay.archive.pruning import Prunable, plan
from replay.archive.verification import Finding, compare, verify, verify_columns

app = typer.Typer(
    help="Keep every input and the journal as Parquet: the record.", no_args_is_help=True
)

_log = structlog.get_logger()
_STALL_SECONDS = 30.0
_FOLLOWING_STALL_SECONDS = 2.0
"""How long a hanging transaction is waited for: in follow mode the other partitions wait too."""
_COMPACT_FROM = 8
"""Segments that a following archiver lets come together before it merges them."""

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", envvar="TOLLBOOK_ARCHIVE", show_envvar=False, help="The archive's folder."
    ),
]


@app.callback()
def archive() -> None:
    """Keep every input and the journal as Parquet: the record."""


@app.command()
def write(
    folder: Folder,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until SIGTERM or Ctrl-C, and compact.")
    ] = False,
    segment_records: Annotated[
        int, typer.Option(min=1, help="Records after which a segment is full.")
    ] = Limits().records,
    seconds: Annotated[
        float, typer.Option(min=0, help="With --follow: a record is archived this soon.")
    ] = Limits().seconds,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Archive what stands in Kafka up to now, from where the archive ends; it may be killed anywhere.

    Example: tollbook archive write archive --follow

    Exit codes: 0 archived, or stopped cleanly; 1 another process writes this archive, it is of
    another deployment, or a transaction hangs (what stood before it is archived).
    """
    settings = kafka(bootstrap)
    limits = Limits(records=segment_records, seconds=seconds)
    log = KafkaLog(settings, _FOLLOWING_STALL_SECONDS if follow else _STALL_SECONDS)
    try:
        opened = Archive.of(folder, identity_of(settings, log))
        with opened.writing():
            if follow:
                _follow(opened, log, limits)
                return
            written: list[Archived] = []
            stalls = Archiver(opened, log, limits, written.append).catch_up()
    finally:
        log.close()
    rows = [
        {
            "topic": partition.topic,
            "partition": partition.partition,
            "first_offset": segment.first_offset,
            "next_offset": segment.next_offset,
            "records": segment.records,
            "bytes": segment.size,
        }
        for partition, segment in written
    ]
    columns = ("topic", "partition", "first_offset", "next_offset", "records", "bytes")
    print_rows(columns, rows, as_json=as_json, numbers=" ".join(columns[1:]))
    for stall in stalls:
        say(str(stall))
    if stalls:
        raise typer.Exit(EXIT_FAILED)


def identity_of(settings: KafkaSettings, log: KafkaLog) -> Identity:
    """Return whose archive it has to be."""
    return Identity(settings.prefix, partition_count(log), cluster_id(settings))


def _follow(opened: Archive, log: KafkaLog, limits: Limits) -> None:
    configure_logging()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def tell(archived: Archived) -> None:
        partition, segment = archived
        _log.info(
            "segment_archived",
            topic=partition.topic,
            partition=partition.partition,
            next_offset=segment.next_offset,
            records=segment.records,
            bytes=segment.size,
        )
        for found in compact(opened, partition, fewest=_COMPACT_FROM):
            _log.info(
                "segments_merged",
                topic=partition.topic,
                partition=partition.partition,
                merged=found.merged,
                records=found.segment.records,
                bytes=found.segment.size,
            )

    _log.info("archiver_started", archive=str(opened.path))
    Archiver(opened, log, limits, tell).follow(stop)
    _log.info("archiver_stopped")


@app.command("list")
def list_(
    folder: Folder,
    files: Annotated[
        bool, typer.Option("--files", help="Print the path of every segment, for other tools.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an archive holds; with --files the files to read, which the manifests name.

    Example: tollbook archive list archive

    Exit codes: 0 shown; 1 there is no archive, or a manifest is broken.
    """
    opened = Archive(folder)
    manifests = [opened.manifest(name) for name in opened.names()]
    if files:
        for manifest in manifests:
            for segment in manifest.segments:
                typer.echo(opened.file(manifest.partition, segment))
        return
    rows = [
        {
            "topic": manifest.partition.topic,
            "partition": manifest.partition.partition,
            "segments": len(manifest.segments),
            "records": manifest.records,
            "rows": sum(segment.rows for segment in manifest.segments),
            "bytes": sum(segment.size for segment in manifest.segments),
            "next_offset": manifest.next_offset,
        }
        for manifest in manifests
    ]
    columns = ("topic", "partition", "segments", "records", "rows", "bytes", "next_offset")
    print_rows(columns, rows, as_json=as_json, numbers=" ".join(columns[1:]))


@app.command("compact")
def compact_(
    folder: Folder,
    target_megabytes: Annotated[int, typer.Option(min=1, help="Size that merging aims at.")] = 128,
    as_json: AsJson = False,
) -> None:
    """Merge small neighbouring segments; the records stay the same to the byte. Needs no Kafka.

    A following archiver does this by itself. A merge must at least double its largest segment.

    Example: tollbook archive compact archive

    Exit codes: 0 merged what was worth it; 1 another process writes this archive.
    """
    opened = Archive(folder)
    with opened.writing():
        merged = [
            found
            for name in opened.names()
            for found in compact(opened, name, target_megabytes * 1024 * 1024)
        ]
    rows = [
        {
            "topic": found.partition.topic,
            "partition": found.partition.partition,
            "merged": found.merged,
            "segment": found.segment.name,
            "bytes": found.segment.size,
        }
        for found in merged
    ]
    columns = ("topic", "partition", "merged", "segment", "bytes")
    print_rows(columns, rows, as_json=as_json, numbers="partition merged bytes")


@app.command("verify")
def verify_(
    folder: Folder,
    columns: Annotated[
        bool, typer.Option("--columns", help="Derive the columns again from the original bytes.")
    ] = False,
    against_kafka: Annotated[
        bool, typer.Option("--against-kafka", help="Compare every record that Kafka still has.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Check every segment against its manifest (SHA-256, counts, order), and the journal's chain.

    Example: tollbook archive verify archive --columns

    Exit codes: 0 everything holds; 1 there is no archive; 4 something differs: each is named.
    """
    opened = Archive(folder)
    with progress_bar("verifying", None) as progress:
        verified = [verify(opened, name, progress) for name in opened.names()]
        findings = [finding for found in verified for finding in found.findings]
        sound = [found.partition for found in verified if not found.findings]
        if columns:
            findings += [f for name in sound for f in verify_columns(opened, name, progress)]
    if against_kafka:
        with opened_log(kafka(bootstrap)) as log:
            opened.require(identity_of(kafka(bootstrap), log))
            findings += _compared(opened, kafka(bootstrap), log)
    strays = sum(len(opened.strays(name)) for name in opened.names())
    say(
        f"{sum(f.segments for f in verified)} segments with {sum(f.records for f in verified)} "
        f"records verified, {len(findings)} findings, {strays} stray files (they do not count)"
    )
    rows = [{**f.partition._asdict(), "place": f.place, "problem": f.problem} for f in findings]
    if rows:
        print_rows(("topic", "partition", "place", "problem"), rows, as_json=as_json)
        raise typer.Exit(EXIT_REJECTED)


def _compared(opened: Archive, settings: KafkaSettings, log: KafkaLog) -> Iterator[Finding]:
    """Yield where the archive and what Kafka still has differ."""
    own = ArchiveLog(opened)
    ends = own.ends(opened.names())
    for name, first in first_offsets(settings, opened.names()).items():
        yield from compare(own, log, name, first, ends[name])


@app.command()
def prune(
    folder: Folder,
    with_journal: Annotated[
        bool,
        typer.Option("--with-journal", help="Prune the journal too: its readers need the archive."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, delete nothing.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Delete from Kafka what is archived, verified just now, and read by everyone who needs it.

    Inputs go only as far as the archived journal has read them; `tariffs` stay. With
    --with-journal the journal goes as far as the projector has come; a worker that starts
    without a snapshot, a new projector and `tollbook replay` then need the archive.

    Example: tollbook archive prune archive --dry-run

    Exit codes: 0 done; 1 there is no archive, or it is of another deployment.
    """
    settings = kafka(bootstrap)
    opened = Archive(folder)
    with opened_log(settings) as log:
        opened.require(identity_of(settings, log))
    planned = [_kept_for_projector(settings, p) for p in plan(opened, with_journal=with_journal)]
    first = first_offsets(settings, [found.partition for found in planned])
    deletions = {
        found.partition: found.before for found in planned if found.before > first[found.partition]
    }
    if deletions and not dry_run:
        delete_before(settings, deletions)
    rows = [
        {
            "topic": partition.topic,
            "partition": partition.partition,
            "from": first[partition],
            "before": max(before, first[partition]),
            "reason": reason,
        }
        for partition, before, reason in planned
    ]
    columns = ("topic", "partition", "from", "before", "reason")
    print_rows(columns, rows, as_json=as_json, numbers="partition from before")
    say("nothing deleted: a dry run" if dry_run else f"{len(deletions)} partitions pruned")


def _kept_for_projector(settings: KafkaSettings, found: Prunable) -> Prunable:
    """Keep the commits that the projector has not read yet."""
    if found.partition.topic != "journal":
        return found
    read = committed_offsets(settings, PROJECTOR_GROUP, [found.partition])
    projected = read.get(found.partition, found.before)
    if projected >= found.before:
        return found
    return found._replace(before=projected, reason="that is how far the projector has read it")
