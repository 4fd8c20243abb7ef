"""The journal's chain, checked while it is archived and again when it is verified.

Each commit names the SHA-256 of the commit before it. What does not follow the last archived
commit is of another deployment, or the journal is broken; neither enters an archive.
"""

from collections.abc import Iterable, Iterator

from engine.adapters.avro.journal import commit_digest
from engine.adapters.avro.wire import decode
from engine.ports import LogRecord
from engine.rating.errors import BrokenChain, Refusal
from engine.rating.journal import NO_DIGEST


def chained(records: Iterable[LogRecord], last: LogRecord | None) -> Iterator[LogRecord]:
    """Yield journal records that follow `last` and each other. BrokenChain at one that does not."""
    number, digest = _head(last) if last else (0, NO_DIGEST)
    for record in records:
        decoded = decode(record.value)
        if isinstance(decoded, Refusal) or decoded.name != "journal_commit":
            raise BrokenChain(f"{_place(record)}: got {decoded}, expected a journal_commit")
        got = (decoded.fields["commit"], decoded.fields["previous"])
        if got != (number + 1, digest):
            raise BrokenChain(
                f"{_place(record)}: got commit {got[0]} after {got[1].hex()[:16]}, expected commit "
                f"{number + 1} after {digest.hex()[:16]}"
            )
        number, digest = number + 1, commit_digest(record.value)
        yield record


def _head(record: LogRecord) -> tuple[int, bytes]:
    decoded = decode(record.value)
    if isinstance(decoded, Refusal):
        raise BrokenChain(f"{_place(record)}: {decoded.explanation}")
    return decoded.fields["commit"], commit_digest(record.value)


def _place(record: LogRecord) -> str:
    return f"{record.topic}[{record.partition}] offset {record.offset}"
